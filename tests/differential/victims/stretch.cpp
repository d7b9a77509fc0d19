// SPDX-License-Identifier: Apache-2.0
// The program's whole work is done by a thread that owns a loader lock all the while: in a constructor that dlopen
// runs, in a destructor that dlclose runs, or in the callback of a walk. Each shape works with little memory.
//   stretch constructor|destructor|walk SHAPE
#include <array>

#include "tests/differential/stage.h"

namespace {

const char* shape;
bool in_destructor;

unsigned next_random() {
    static unsigned state = 1;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

char* make(std::size_t size) {
    auto* block = static_cast<char*>(stage::seen(std::malloc(size)));
    std::memset(block, 1, size);
    return block;
}

// A ring between two threads. Its users yield while it is full or empty.
class Ring {
  public:
    void put(void* block) {
        while (head_ - tail_ == ring_.size()) std::this_thread::yield();
        ring_[head_ % ring_.size()] = block;
        ++head_;
    }
    void* get() {
        while (head_ == tail_) std::this_thread::yield();
        void* block = ring_[tail_ % ring_.size()];
        ++tail_;
        return block;
    }

  private:
    std::array<void*, 1024> ring_{};
    std::atomic<std::size_t> head_ = 0, tail_ = 0;
};
Ring ring;
constexpr int messages = 60'000;  // of 1 KiB

void make_messages() {
    for (int i = 0; i < messages; ++i) ring.put(make(1024));
}
void eat_messages() {
    for (int i = 0; i < messages; ++i) std::free(ring.get());
}

void pairs() {
    for (int i = 0; i < 400'000; ++i) stage::allocate_and_free(1 + next_random() % 512);
}

// Random replacement of many live blocks.
void lru() {
    static char* live[5000];
    for (int i = 0; i < 200'000; ++i) {
        char*& block = live[next_random() % std::size(live)];
        std::free(block);
        block = make(16 + next_random() % 1008);
    }
}

// One block in two hundred lives long.
void keep() {
    static char* kept[2000];
    static char* passing[64];
    for (unsigned i = 0; i < 500'000; ++i) {
        char*& place = i % 200 == 0 ? kept[i / 200 % std::size(kept)] : passing[i % std::size(passing)];
        std::free(place);
        place = make(256);
    }
}

void consumer() {
    std::thread maker(make_messages);
    eat_messages();
    maker.join();
}
void producer() {
    std::thread eater(eat_messages);
    make_messages();
    eater.join();
}

// Blocks of before the stretch are replaced, over and over.
char* old_blocks[2000];
void replace() {
    for (int i = 0; i < 100'000; ++i) {
        char*& block = old_blocks[next_random() % std::size(old_blocks)];
        std::free(block);
        block = make(1000);
    }
}

// A string that grows again and again, and shrinks.
void resize() {
    for (int i = 0; i < 3000; ++i) {
        char* text = nullptr;
        for (std::size_t size = 64; size <= 65536; size *= 2) {
            text = static_cast<char*>(std::realloc(text, size));
            text[size - 1] = 1;
        }
        text = static_cast<char*>(std::realloc(text, 10));
        std::free(text);
    }
}

// Of every size up to 1 MiB, some of them alive.
void large() {
    static char* live[8];
    for (int i = 0; i < 3000; ++i) {
        char*& block = live[next_random() % std::size(live)];
        std::free(block);
        const std::size_t size = std::size_t{1} << (8 + next_random() % 13);
        block = static_cast<char*>(stage::seen(std::malloc(size)));
        for (std::size_t at = 0; at < size; at += 4096) block[at] = 1;
    }
}

void news() {
    for (int i = 0; i < 200'000; ++i) {
        auto* numbers = stage::seen(new int[1 + next_random() % 200]);
        numbers[0] = i;
        delete[] numbers;
        delete stage::seen(new long(i));
    }
}

void zeroed() {
    for (int i = 0; i < 100'000; ++i) {
        auto* block = static_cast<char*>(stage::seen(std::calloc(1 + next_random() % 40, 50)));
        stage::expect(block[0] == 0 && block[49] == 0, "calloc zeroes");
        std::memset(block, 0xee, 50);
        std::free(block);
    }
}

// Threads of the stretch come and go; each leaves a block to its maker.
void threads() {
    for (int i = 0; i < 600; ++i) {
        char* left = nullptr;
        std::thread([&left] { left = make(30'000); }).join();
        std::free(left);
    }
}

// Other threads meet in the loader and in the allocator meanwhile, long after any budget is used up.
void beside_walks() {
    consumer();
    const stage::Bystander looks_up([] { stage::work("walk_allocating"); });
    growth::Heap heap(600);
    for (int i = 0; i < 600; ++i) {
        heap.grow();
        stage::allocate_and_free(scene::large);
        ++stage::steps();
    }
}

void run_the_program() {
    constexpr std::pair<const char*, void (*)()> shapes[] = {
        {"pairs", pairs},       {"lru", lru},         {"keep", keep},       {"consumer", consumer},
        {"producer", producer}, {"resize", resize},   {"large", large},     {"news", news},
        {"zeroed", zeroed},     {"threads", threads}, {"replace", replace}, {"beside_walks", beside_walks}};
    for (const auto& [name, run] : shapes) {
        if (name == std::string_view(shape)) return run();
    }
    stage::expect(false, "such a shape exists");
}

}  // namespace

// libraries/calls_back.c
extern "C" void when_loaded() {
    if (!in_destructor) run_the_program();
}
extern "C" void when_unloaded() {
    if (in_destructor) run_the_program();
}

int main(int, char** argv) {
    stage::steps() = 0;
    const std::string_view where = argv[1];
    shape = argv[2];
    in_destructor = where == "destructor";
    for (char*& block : old_blocks) block = make(1000);
    if (where == "walk") {
        stage::inside_walk(run_the_program);
    } else {
        void* library = dlopen("calls_back.so", RTLD_NOW);
        stage::expect(library != nullptr, "the library is loaded");
        dlclose(library);
    }
    for (int i = 0; i < 1000; ++i) stage::allocate_and_free(1000);
    std::puts("done");
    return 0;
}
