#pragma once

/// A few coroutines that take turns on one thread, so that a test can decide which of them goes on at every step.
typedef struct CoroutineGroup CoroutineGroup;

/// Makes a group of `count` coroutines that have nothing to run yet. `context` is for `coroutine_context`.
CoroutineGroup *coroutine_group_create(int count, void *context);
/// Gives back a group. Coroutines that have not ended are abandoned where they stand.
void coroutine_group_destroy(CoroutineGroup *group);
/// Lets coroutine `index` run `body(argument)` from its beginning at its next turn.
void coroutine_start(CoroutineGroup *group, int index, void (*body)(void *), void *argument);
/// Gives coroutine `index` a turn, until it yields or ends. Returns 1 if it can go on, 0 if it has ended.
int coroutine_resume(CoroutineGroup *group, int index);
/// Ends the turn of the running coroutine.
void coroutine_yield(void);
/// Index of the coroutine that runs on this thread, or -1 outside.
int coroutine_current(void);
/// The context of the group whose turn it is on this thread, or of the group that was set last; NULL when there is none.
void *coroutine_context(void);
/// Sets what `coroutine_context` returns on this thread outside of a turn.
void coroutine_set_context(void *context);
