#pragma once
#include <stddef.h>
#include <stdint.h>

/// Lets the calling thread run on these CPUs only. Returns 0, or the errno of sched_setaffinity.
int chost_set_current_thread_cpus(const int *cpus, int count);
/// Names the calling thread for `ps -L` and `top -H`; the kernel keeps 15 bytes.
void chost_set_current_thread_name(const char *name);
/// Starts a thread with a stack of so many bytes and stores it in `thread`. Returns 0, or what pthread_create or
/// pthread_attr_setstacksize returned.
int chost_thread_create(uintptr_t *thread, size_t stack_bytes, void (*body)(void *), void *argument);
/// Waits until the thread has ended.
void chost_thread_join(uintptr_t thread);
/// The CPU that the calling thread runs on now, or -1.
int chost_current_cpu(void);
/// Fills `cpus` with the CPUs that the calling thread may run on, in rising order. Returns how many there are (which may be
/// more than `capacity`), or minus the errno of sched_getaffinity.
int chost_allowed_cpus(int *cpus, int capacity);

/// How late, in nanoseconds, the kernel may end a timed sleep of the calling thread to gather wake-ups; 50,000 by default.
void chost_set_timer_slack(unsigned long nanoseconds);

/// A non-blocking, close-on-exec eventfd at zero. Returns the descriptor, or minus the errno.
int chost_eventfd_create(void);
/// Adds one. Returns 0, or the errno.
int chost_eventfd_signal(int descriptor);
/// Waits until the count is not zero and takes it; at most `nanoseconds`, forever when negative. Returns 1 when rung, 0 when
/// the time was over or a signal came, or minus the errno.
int chost_eventfd_wait(int descriptor, int64_t nanoseconds);
/// Closes the descriptor.
void chost_eventfd_close(int descriptor);

/// Asks the processor to bring the cache line of an address near. Never faults and never waits.
static inline void chost_prefetch(const void *address) { __builtin_prefetch(address); }
