// SPDX-License-Identifier: Apache-2.0
// The reproducer, round after round, while two threads fill blocks and check what became of them.
//   checked_deadlock SHAPE ROUNDS [wait]
// With "wait" nobody walks before SIGUSR1 has come, so that nothing hangs until then.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "examples/phdr_deadlock/shapes.h"

namespace {

constexpr std::size_t growths_a_round = 2048;
constexpr std::size_t blocks_held = 64;

std::atomic<bool> over = false;
std::atomic<std::size_t> checked = 0, bad = 0;

// From the smallest size classes to what needs the page heap.
void fill_and_check(unsigned seed) {
    struct Block {
        unsigned char* bytes = nullptr;
        std::size_t size = 0;
        unsigned char pattern = 0;
    } held[blocks_held];
    for (unsigned n = 0; !over; ++n) {
        Block& block = held[n % blocks_held];
        for (std::size_t i = 0; i < block.size; ++i)
            if (block.bytes[i] != block.pattern) ++bad, i = block.size;
        if (block.bytes != nullptr) ++checked;
        std::free(block.bytes);
        seed = seed * 1664525 + 1013904223;  // Numerical Recipes' generator
        block.size = n % 512 == 0 ? shapes::walk_bytes : 16 + (seed >> 20);
        block.pattern = static_cast<unsigned char>(seed >> 12);
        block.bytes = static_cast<unsigned char*>(shapes::seen(std::malloc(block.size)));
        std::memset(block.bytes, block.pattern, block.size);
    }
    for (const Block& block : held) std::free(block.bytes);
}

void one_round(const shapes::NamedShape& shape, growth::Heap& heap) {
    std::atomic<bool> grown = false;
    std::atomic<std::size_t> walks = 0;
    std::thread walking([&] {
        for (std::size_t after = 0; after < 16; after += grown ? 1 : 0, ++walks) shapes::walk_once(shape.run);
    });
    for (std::size_t done = 0, walked = 0; done < growths_a_round; ++done) {
        // Both get on, however busy the machine: a round is not over before they have met.
        constexpr std::size_t together = 64;
        while (done % together == 0 && walks == walked) usleep(100);
        walked = walks;
        std::unique_lock<std::mutex> held(shapes::application_lock, std::defer_lock);
        if (shapes::locks_while_growing(shape)) held.lock();
        heap.grow();
        ++shapes::growths_done;
    }
    grown = true;
    walking.join();
}

}  // namespace

int main(int argc, char** argv) {
    const shapes::NamedShape* shape = argc > 2 ? shapes::find_shape(argv[1]) : nullptr;
    if (shape == nullptr) return 2;
    const int rounds = std::atoi(argv[2]);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    std::thread checking[] = {std::thread(fill_and_check, 1), std::thread(fill_and_check, 2)};
    dprintf(STDOUT_FILENO, "ready\n");
    int signal = 0;
    if (argc > 3) sigwait(&signals, &signal);
    std::vector<std::unique_ptr<growth::Heap>> kept;  // a heap that gets blocks back stops growing
    for (int round = 1; round <= rounds; ++round) {
        kept.push_back(std::make_unique<growth::Heap>(growths_a_round));
        one_round(*shape, *kept.back());
        dprintf(STDOUT_FILENO, "round %d\n", round);
    }
    over = true;
    for (std::thread& thread : checking) thread.join();
    dprintf(STDOUT_FILENO, "%zu blocks checked, %zu bad\n", checked.load(), bad.load());
    return bad == 0 && checked != 0 ? 0 : 1;
}
