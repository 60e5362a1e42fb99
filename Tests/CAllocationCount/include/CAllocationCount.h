#pragma once
#include <stdint.h>

/// How often the calling thread has asked malloc, calloc, realloc, aligned_alloc, memalign or posix_memalign for memory.
uint64_t allocation_count(void);
/// How often the calling thread has given memory back by free.
uint64_t deallocation_count(void);
/// 1 when this build counts; 0 under a sanitizer, which needs the allocator for itself.
int allocation_count_works(void);
