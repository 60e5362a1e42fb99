#pragma once
/// Pins the calling thread to one CPU. Returns 0, or the errno of sched_setaffinity.
int chost_pin_current_thread(int cpu);
/// The CPU that the calling thread runs on now, or -1.
int chost_current_cpu(void);
