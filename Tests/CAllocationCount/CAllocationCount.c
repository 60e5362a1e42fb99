// Stands in for the C library's allocator in the test executable: a definition in the executable comes before that of a
// shared library, so every allocation of the process passes here, the Swift runtime's too.
#include "CAllocationCount.h"
#include <errno.h>
#include <stddef.h>

static _Thread_local uint64_t allocations;
static _Thread_local uint64_t deallocations;

uint64_t allocation_count(void) { return allocations; }
uint64_t deallocation_count(void) { return deallocations; }

#if !defined(__GLIBC__) && defined(__has_include)
#if __has_include(<features.h>)
#include <features.h>
#endif
#endif

#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

int allocation_count_works(void) { return 1; }

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

void *malloc(size_t bytes) {
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes) {
    allocations++;
    return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes) {
    allocations++;
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    allocations++;
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1))) return EINVAL;
    allocations++;
    void *made = __libc_memalign(alignment, bytes);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}

void free(void *memory) {
    if (memory) deallocations++;
    __libc_free(memory);
}

#else

int allocation_count_works(void) { return 0; }

#endif
