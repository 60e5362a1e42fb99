#pragma once
#include <stdint.h>

/// Pins the calling thread to one CPU. Returns 0, or the errno of sched_setaffinity.
int chost_pin_current_thread(int cpu);
/// The CPU that the calling thread runs on now, or -1.
int chost_current_cpu(void);
/// Fills `cpus` with the CPUs that the calling thread may run on, in rising order. Returns how many there are (which may be
/// more than `capacity`), or minus the errno of sched_getaffinity.
int chost_allowed_cpus(int *cpus, int capacity);

/// A non-blocking, close-on-exec eventfd at zero. Returns the descriptor, or minus the errno.
int chost_eventfd_create(void);
/// Adds one. Returns 0, or the errno.
int chost_eventfd_signal(int descriptor);
/// Waits until the count is not zero and takes it; at most `nanoseconds`, forever when negative. Returns 1 when rung, 0 when
/// the time was over or a signal came, or minus the errno.
int chost_eventfd_wait(int descriptor, int64_t nanoseconds);
/// Closes the descriptor.
void chost_eventfd_close(int descriptor);
