// SPDX-License-Identifier: Apache-2.0
// Producers allocate, consumers free: every block dies in another thread than its own. Blocks travel in batches through
// a queue that sleeps when it is full or empty, so that CPU time is the allocator's and not that of spinning.
//   pipeline PAIRS BLOCKS_PER_PAIR
#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/bench/clocks.h"

namespace {

using namespace unknot::bench;

constexpr std::size_t batch_blocks = 256;
constexpr std::size_t queue_batches = 16;

using Batch = std::array<void*, batch_blocks>;

class Queue {
  public:
    void put(const Batch& batch) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return put_ - taken_ < queue_batches; });
        ring_[put_++ % queue_batches] = batch;
        changed_.notify_one();
    }
    Batch take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return put_ != taken_; });
        const Batch batch = ring_[taken_++ % queue_batches];
        changed_.notify_one();
        return batch;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::array<Batch, queue_batches> ring_{};
    std::size_t put_ = 0;
    std::size_t taken_ = 0;
};

void produce(Queue& queue, std::uint64_t seed, int batches) {
    Numbers numbers(seed);
    for (int i = 0; i < batches; ++i) {
        Batch batch;
        for (void*& block : batch) {
            block = std::malloc(16 + numbers.below(496));
            *static_cast<char*>(block) = 1;
        }
        queue.put(batch);
    }
}

void consume(Queue& queue, int batches) {
    for (int i = 0; i < batches; ++i) {
        for (void* block : queue.take()) std::free(block);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int pairs = argc > 1 ? std::atoi(argv[1]) : 1;
    const int batches = (argc > 2 ? std::atoi(argv[2]) : 1'000'000) / static_cast<int>(batch_blocks);
    const std::int64_t wall = wall_ns();
    const std::int64_t cpu = process_cpu_ns();
    std::vector<Queue> queues(static_cast<std::size_t>(pairs));
    std::vector<std::thread> all;
    for (Queue& queue : queues) {
        all.emplace_back(produce, std::ref(queue), all.size() + 1, batches);
        all.emplace_back(consume, std::ref(queue), batches);
    }
    for (std::thread& thread : all) thread.join();
    const double blocks = static_cast<double>(pairs) * batches * static_cast<double>(batch_blocks);
    std::printf("cpu_ns=%.3f wall_ns=%.3f\n", static_cast<double>(process_cpu_ns() - cpu) / blocks,
                static_cast<double>(wall_ns() - wall) / blocks);
}
