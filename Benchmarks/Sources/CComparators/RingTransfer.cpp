#include "Measure.hpp"
#include "Ring.hpp"
#include <deque>
#include <mutex>

namespace {

struct Pair {
    uint64_t index, complement;
};
struct Wide {
    uint64_t index, complement, rest[10];
};

template <typename Element>
double transfer(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu) {
    Ring<Element> ring(capacity);
    bool right = true;
    const double took = measure_pair(
        producer_cpu, consumer_cpu,
        [&] {
            for (uint64_t i = 0; i < count;) {
                Element element{};
                element.index = i;
                element.complement = ~i;
                if (ring.push(element)) i++;
                else comparator_idle();
            }
        },
        [&] {
            for (uint64_t i = 0; i < count;) {
                Element element;
                if (!ring.pop(element)) {
                    comparator_idle();
                    continue;
                }
                if (element.index != i || element.complement != ~i) right = false;
                i++;
            }
        });
    return right ? took : -1;
}

} // namespace

double comparator_ring_transfer_16(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu) {
    return transfer<Pair>(count, capacity, producer_cpu, consumer_cpu);
}

double comparator_ring_transfer_96(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu) {
    return transfer<Wide>(count, capacity, producer_cpu, consumer_cpu);
}

uint64_t comparator_ring_alone_16(uint64_t count, uint64_t capacity) {
    Ring<Pair> ring(capacity);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        ring.push(Pair{i, ~i});
        Pair pair;
        if (ring.pop(pair)) sum += pair.index ^ pair.complement >> 7;
    }
    return sum;
}

double comparator_mutex_transfer_16(uint64_t count, uint64_t capacity, int producer_cpu, int consumer_cpu) {
    std::mutex mutex;
    std::deque<Pair> deque;
    bool right = true;
    const double took = measure_pair(
        producer_cpu, consumer_cpu,
        [&] {
            for (uint64_t i = 0; i < count;) {
                bool pushed = false;
                {
                    std::lock_guard<std::mutex> guard(mutex);
                    if (deque.size() < capacity) {
                        deque.push_back(Pair{i, ~i});
                        pushed = true;
                    }
                }
                if (pushed) i++;
                else comparator_idle();
            }
        },
        [&] {
            for (uint64_t i = 0; i < count;) {
                Pair pair{};
                bool popped = false;
                {
                    std::lock_guard<std::mutex> guard(mutex);
                    if (!deque.empty()) {
                        pair = deque.front();
                        deque.pop_front();
                        popped = true;
                    }
                }
                if (!popped) {
                    comparator_idle();
                    continue;
                }
                if (pair.index != i || pair.complement != ~i) right = false;
                i++;
            }
        });
    return right ? took : -1;
}
