#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

// Bounded single-producer single-consumer ring with each side's copy of the other's index: the algorithm of
// Sources/WaitFree/SPSCRing.swift.
template <typename Element>
class Ring {
    alignas(128) std::atomic<uint64_t> tail{0};
    uint64_t head_copy = 0;
    alignas(128) std::atomic<uint64_t> head{0};
    uint64_t tail_copy = 0;
    alignas(128) Element *slots;
    uint64_t mask;

  public:
    explicit Ring(uint64_t capacity)
        : slots(static_cast<Element *>(std::aligned_alloc(128, capacity * sizeof(Element)))), mask(capacity - 1) {}
    ~Ring() { std::free(slots); }
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;

    bool push(const Element &element) {
        const uint64_t at = tail.load(std::memory_order_relaxed);
        if (at - head_copy > mask) {
            head_copy = head.load(std::memory_order_acquire);
            if (at - head_copy > mask) return false;
        }
        slots[at & mask] = element;
        tail.store(at + 1, std::memory_order_release);
        return true;
    }

    bool pop(Element &element) {
        const uint64_t at = head.load(std::memory_order_relaxed);
        if (at == tail_copy) {
            tail_copy = tail.load(std::memory_order_acquire);
            if (at == tail_copy) return false;
        }
        element = slots[at & mask];
        head.store(at + 1, std::memory_order_release);
        return true;
    }

    template <typename Body>
    uint64_t drain(Body body) {
        const uint64_t at = head.load(std::memory_order_relaxed);
        tail_copy = tail.load(std::memory_order_acquire);
        const uint64_t count = tail_copy - at;
        if (count == 0) return 0;
        for (uint64_t i = 0; i < count; i++) body(slots[(at + i) & mask]);
        head.store(at + count, std::memory_order_release);
        return count;
    }
};
