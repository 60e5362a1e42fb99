#include "Measure.hpp"
#include "Ring.hpp"
#include <memory>
#include <vector>

namespace {

struct Message {
    uint64_t index, stamp, rest[10];
};

struct alignas(128) PaddedWord {
    std::atomic<uint64_t> word{0};
};

// Load board, rings and one sleep flag, as in Sources/WaitFree.
struct Mesh {
    std::vector<std::unique_ptr<Ring<Message>>> rings;
    std::unique_ptr<PaddedWord[]> board;
    PaddedWord flag;
    uint32_t cells;

    Mesh(int cells, uint64_t capacity) : board(new PaddedWord[cells]), cells(cells) {
        for (int i = 0; i < cells; i++) rings.push_back(std::make_unique<Ring<Message>>(capacity));
    }

    // True when the consumer has to be woken by the caller.
    bool claim_wake() {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (flag.word.load(std::memory_order_relaxed) == 0) return false;
        return flag.word.exchange(0, std::memory_order_acq_rel) == 1;
    }
};

struct FrontEnd {
    Mesh &mesh;
    uint64_t dice = 0x9E3779B97F4A7C15;
    uint64_t wakes = 0;
    std::vector<uint64_t> picture;
    uint32_t until_look = 0;

    explicit FrontEnd(Mesh &mesh) : mesh(mesh), picture(mesh.cells) {}

    bool dispatch(const Message &message) {
        if (until_look == 0) {
            for (uint32_t cell = 0; cell < mesh.cells; cell++)
                picture[cell] = mesh.board[cell].word.load(std::memory_order_acquire);
            until_look = 64;
        }
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        const uint32_t first = (uint32_t)(((dice & 0xFFFFFFFF) * mesh.cells) >> 32);
        const uint32_t second = (uint32_t)(((dice >> 32) * mesh.cells) >> 32);
        const uint32_t cell = picture[second] < picture[first] ? second : first;
        if (!mesh.rings[cell]->push(message)) return false;
        picture[cell]++;
        until_look--;
        if (mesh.claim_wake()) wakes++;
        return true;
    }
};

struct Cells {
    Mesh &mesh;
    uint64_t taken = 0, sum = 0;
    std::vector<uint64_t> loads;

    explicit Cells(Mesh &mesh) : mesh(mesh), loads(mesh.cells) {}

    void turn() {
        for (uint32_t cell = 0; cell < mesh.cells; cell++) {
            const uint64_t count = mesh.rings[cell]->drain([&](const Message &message) { sum += message.index; });
            if (count == 0) continue;
            taken += count;
            loads[cell] += count;
            mesh.board[cell].word.store(loads[cell], std::memory_order_release);
        }
    }
};

} // namespace

double comparator_dispatch(uint64_t count, int cells, uint64_t capacity, int front_end_cpu, int cells_cpu) {
    Mesh mesh(cells, capacity);
    FrontEnd front_end(mesh);
    Cells consumer(mesh);
    const double took = measure_pair(
        front_end_cpu, cells_cpu,
        [&] {
            for (uint64_t i = 0; i < count;) {
                Message message{};
                message.index = i;
                if (front_end.dispatch(message)) i++;
                else comparator_pause();
            }
        },
        [&] {
            while (consumer.taken < count) {
                const uint64_t before = consumer.taken;
                consumer.turn();
                if (consumer.taken - before < 32) comparator_idle();
            }
        });
    return consumer.sum == count * (count - 1) / 2 && front_end.wakes == 0 ? took : -1;
}

uint64_t comparator_dispatch_alone(uint64_t count, int cells, uint64_t capacity) {
    Mesh mesh(cells, capacity);
    FrontEnd front_end(mesh);
    Cells consumer(mesh);
    for (uint64_t i = 0; i < count; i++) {
        Message message{};
        message.index = i;
        front_end.dispatch(message);
        consumer.turn();
    }
    return consumer.sum;
}
