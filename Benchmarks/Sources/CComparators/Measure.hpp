#pragma once
#include "include/CComparators.h"
#include <atomic>
#include <sched.h>
#include <thread>
#include <time.h>

inline void bind_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

inline double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

// Runs both bodies at the same time, each bound to its CPU, and returns how long it took until both were done.
template <typename First, typename Second>
double measure_pair(int first_cpu, int second_cpu, First first, Second second) {
    std::atomic<int> ready{0};
    double began = 0;
    std::thread other([&] {
        bind_to(second_cpu);
        ready.fetch_add(1);
        while (ready.load() < 2) comparator_pause();
        second();
    });
    double ended = 0;
    std::thread one([&] {
        bind_to(first_cpu);
        ready.fetch_add(1);
        while (ready.load() < 2) comparator_pause();
        began = now_ns();
        first();
    });
    one.join();
    other.join();
    ended = now_ns();
    return ended - began;
}
