#pragma once
#include <stdint.h>

// The wait-free core's structures once more, in C++20, with the loops that drive them, so that both languages are
// measured at the same work on the same processors in the same process.

#ifdef __cplusplus
extern "C" {
#endif

/// Moves `count` elements of 16 (96) bytes through a ring from a thread on one CPU to a thread on another.
/// Returns nanoseconds from the first push to the last pop; -1 when an element was wrong.
double comparator_ring_transfer_16(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu);
double comparator_ring_transfer_96(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu);

/// The same through a std::deque under a std::mutex.
double comparator_mutex_transfer_16(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu);

/// Pushes and pops `count` elements of 16 bytes on the calling thread. Returns a checksum.
uint64_t comparator_ring_alone_16(uint64_t count, uint64_t capacity);

/// Dispatches `count` messages of 96 bytes from a front end on one CPU to `cells` cells, all of them run by one thread
/// on another CPU: a picture of the loads (renewed from the board every 64 times), the less loaded of two, a push, a
/// look at the sleep flag. The cells' thread drains and posts loads, and waits a moment after a turn that brought
/// little, as a cell does that has replicas to step. Returns nanoseconds from the first dispatch to the last message
/// taken; -1 when a message was lost.
double comparator_dispatch(uint64_t count, int cells, uint64_t capacity, int front_end_cpu, int cells_cpu);

/// `count` dispatches and takings on the calling thread, one after the other. Returns a checksum.
uint64_t comparator_dispatch_alone(uint64_t count, int cells, uint64_t capacity);

#ifdef __cplusplus
}
#endif

/// Tells the processor that the thread spins.
static inline void comparator_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/// Waits about as long as a cell that found nothing to do before it looks again, so that it does not fetch its
/// producer's line from the other processor after every single element.
static inline void comparator_idle(void) {
    for (int i = 0; i < 64; i++) comparator_pause();
}

/// The processor's time stamp, after everything before it is done.
static inline uint64_t comparator_ticks(void) {
#if defined(__x86_64__)
    uint32_t low, high, cpu;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(cpu)::"memory");
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
    return ticks;
#endif
}
