#include "CCoroutine.h"
#include <stdlib.h>
#include <ucontext.h>

enum { stack_bytes = 256 * 1024 };

typedef struct {
    ucontext_t state;
    char *stack;
    void (*body)(void *);
    void *argument;
    int alive;
} Coroutine;

struct CoroutineGroup {
    ucontext_t scheduler;
    void *context;
    int count;
    Coroutine coroutines[];
};

static _Thread_local CoroutineGroup *running_group;
static _Thread_local int running = -1;
static _Thread_local void *idle_context;

CoroutineGroup *coroutine_group_create(int count, void *context) {
    CoroutineGroup *group = calloc(1, sizeof *group + (size_t)count * sizeof(Coroutine));
    if (!group) abort();
    group->count = count;
    group->context = context;
    for (int i = 0; i < count; i++)
        if (!(group->coroutines[i].stack = malloc(stack_bytes))) abort();
    return group;
}

void coroutine_group_destroy(CoroutineGroup *group) {
    for (int i = 0; i < group->count; i++) free(group->coroutines[i].stack);
    free(group);
}

static void enter(void) {
    CoroutineGroup *group = running_group;
    Coroutine *self = &group->coroutines[running];
    self->body(self->argument);
    self->alive = 0;
    swapcontext(&self->state, &group->scheduler);
}

void coroutine_start(CoroutineGroup *group, int index, void (*body)(void *), void *argument) {
    Coroutine *self = &group->coroutines[index];
    self->body = body;
    self->argument = argument;
    self->alive = 1;
    getcontext(&self->state);
    self->state.uc_stack.ss_sp = self->stack;
    self->state.uc_stack.ss_size = stack_bytes;
    self->state.uc_link = &group->scheduler;
    makecontext(&self->state, enter, 0);
}

int coroutine_resume(CoroutineGroup *group, int index) {
    running_group = group;
    running = index;
    swapcontext(&group->scheduler, &group->coroutines[index].state);
    running_group = NULL;
    running = -1;
    return group->coroutines[index].alive;
}

void coroutine_yield(void) {
    CoroutineGroup *group = running_group;
    swapcontext(&group->coroutines[running].state, &group->scheduler);
}

int coroutine_current(void) { return running; }

void *coroutine_context(void) { return running_group ? running_group->context : idle_context; }

void coroutine_set_context(void *context) { idle_context = context; }
