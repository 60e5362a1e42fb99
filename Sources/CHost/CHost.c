#include "CHost.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

int chost_set_current_thread_cpus(const int *cpus, int count) {
    int highest = 0;
    for (int i = 0; i < count; i++) {
        if (cpus[i] < 0) return EINVAL;
        if (cpus[i] > highest) highest = cpus[i];
    }
    size_t bytes = CPU_ALLOC_SIZE(highest + 1);
    cpu_set_t *set = CPU_ALLOC(highest + 1);
    if (!set) return ENOMEM;
    CPU_ZERO_S(bytes, set);
    for (int i = 0; i < count; i++) CPU_SET_S(cpus[i], bytes, set);
    int result = sched_setaffinity(0, bytes, set) == 0 ? 0 : errno;
    CPU_FREE(set);
    return result;
}

void chost_set_current_thread_name(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}

typedef struct {
    void (*body)(void *);
    void *argument;
} ThreadStart;

static void *run_thread(void *memory) {
    ThreadStart start = *(ThreadStart *)memory;
    free(memory);
    start.body(start.argument);
    return NULL;
}

int chost_thread_create(uintptr_t *thread, size_t stack_bytes, void (*body)(void *), void *argument) {
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code) return code;
    code = pthread_attr_setstacksize(&attributes, stack_bytes);
    ThreadStart *start = code ? NULL : malloc(sizeof *start);
    if (!code && !start) code = ENOMEM;
    if (!code) {
        *start = (ThreadStart){.body = body, .argument = argument};
        pthread_t made;
        code = pthread_create(&made, &attributes, run_thread, start);
        if (code) free(start);
        else *thread = (uintptr_t)made;
    }
    pthread_attr_destroy(&attributes);
    return code;
}

void chost_thread_join(uintptr_t thread) { pthread_join((pthread_t)thread, NULL); }

int chost_current_cpu(void) { return sched_getcpu(); }

// The kernel refuses a mask that is shorter than its own (EINVAL), so the mask grows until it fits.
int chost_allowed_cpus(int *cpus, int capacity) {
    for (int size = 1024; size <= 1 << 20; size *= 2) {
        size_t bytes = CPU_ALLOC_SIZE(size);
        cpu_set_t *set = CPU_ALLOC(size);
        if (!set) return -ENOMEM;
        CPU_ZERO_S(bytes, set);
        if (sched_getaffinity(0, bytes, set) == 0) {
            int count = 0;
            for (int cpu = 0; cpu < size; cpu++)
                if (CPU_ISSET_S(cpu, bytes, set)) {
                    if (count < capacity) cpus[count] = cpu;
                    count++;
                }
            CPU_FREE(set);
            return count;
        }
        int code = errno;
        CPU_FREE(set);
        if (code != EINVAL) return -code;
    }
    return -EINVAL;
}

int chost_eventfd_create(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

int chost_eventfd_signal(int descriptor) {
    uint64_t one = 1;
    while (write(descriptor, &one, sizeof one) < 0) {
        // EAGAIN: the count is at its maximum, so the consumer is as woken as it can be.
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) return errno;
    }
    return 0;
}

int chost_eventfd_wait(int descriptor, int64_t nanoseconds) {
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int ready = ppoll(&wanted, 1, nanoseconds < 0 ? NULL : &limit, NULL);
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    if (ready == 0) return 0;
    uint64_t count;
    if (read(descriptor, &count, sizeof count) < 0 && errno != EAGAIN) return -errno;
    return 1;
}

void chost_eventfd_close(int descriptor) { close(descriptor); }

void chost_set_timer_slack(unsigned long nanoseconds) { prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); }
