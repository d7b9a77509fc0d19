// SPDX-License-Identifier: Apache-2.0
// What walks allocate costs what it holds: blocks that shrink, that grow, that are large, of which few are kept, of
// threads that come and go.
//   walk_memory SHAPE
#include "tests/differential/stage.h"

namespace {

char* touch(char* block, std::size_t size) {
    for (std::size_t at = 0; at < size; at += 4096) block[at] = 1;
    return block;
}
char* make(std::size_t size) {
    return touch(static_cast<char*>(stage::seen(std::malloc(size))), size);
}
char* resize(char* block, std::size_t size) {
    return static_cast<char*>(stage::seen(std::realloc(block, size)));
}

// A symbol table that is given the most it may take, and shrunk to what it took.
void shrink() {
    static char* kept[20];
    stage::inside_walk([] {
        for (char*& table : kept) table = resize(make(16u << 20), 100'000);
    });
    for (char* table : kept) std::free(table);
}

// Shrinks by and by, from what fits a small block's chunk too.
void shrink_in_steps() {
    static char* kept[400];
    stage::inside_walk([] {
        for (char*& table : kept) {
            std::size_t size = 256'000;
            table = make(size);
            for (; size > 1000; size /= 2) table = resize(table, size);
        }
    });
    for (char* table : kept) std::free(table);
}

// Shrunk outside the walk.
void shrink_later() {
    static char* kept[20];
    for (char*& table : kept) {
        stage::inside_walk([&table] { table = make(8u << 20); });
        table = resize(table, 50'000);
    }
    for (char* table : kept) std::free(table);
}

void grow() {
    static char* kept[4];
    for (char*& table : kept) {
        stage::inside_walk([&table] {
            for (std::size_t size = 1000; size < (1u << 20); size += size / 2) table = touch(resize(table, size), size);
        });
    }
    for (char* table : kept) std::free(table);
}

// Grows a little in each walk, and between the walks.
void grow_across_walks() {
    char* table = nullptr;
    for (std::size_t size = 4096; size < (3u << 20); size += 8192) {
        stage::inside_walk([&] { table = touch(resize(table, size), size); });
        if (size % 3 == 0) table = resize(table, size + 4096);
    }
    std::free(table);
}

void large() {
    for (int i = 0; i < 300; ++i) {
        stage::inside_walk([] {
            char* table = make(1u << 20);
            std::free(table);
        });
    }
}

// Freed by the next walk, or outside.
void large_freed_elsewhere() {
    char* last = nullptr;
    for (int i = 0; i < 300; ++i) {
        char* next = nullptr;
        stage::inside_walk([&] {
            if (i % 2 == 0) std::free(last);
            next = make(1u << 20);
        });
        if (i % 2 != 0) std::free(last);
        last = next;
    }
    std::free(last);
}

// Each walk keeps one small block of many.
void keep_one() {
    static char* kept[4000];
    for (char*& one : kept) {
        stage::inside_walk([&one] {
            char* others[100];
            for (char*& other : others) other = make(256);
            one = make(256);
            for (char* other : others) std::free(other);
        });
    }
    for (char* one : kept) std::free(one);
}

// The same, the others being freed a walk later, so that what is kept lies between them.
void keep_one_between() {
    static char* kept[2000];
    static char* others[200];
    for (char*& one : kept) {
        stage::inside_walk([&one] {
            for (std::size_t i = 0; i < std::size(others); ++i) {
                std::free(others[i]);
                others[i] = make(500);
                if (i == 77) one = make(500);
            }
        });
    }
    for (char* one : kept) std::free(one);
    for (char* other : others) std::free(other);
}

// A thread that walks once, leaves a block, and ends.
void threads() {
    for (int i = 0; i < 1500; ++i) {
        char* left = nullptr;
        std::thread([&left] {
            stage::inside_walk([&left] {
                left = make(20'000);
                stage::allocate_and_free(40'000);
            });
        }).join();
        std::free(left);
    }
}

void aligned() {
    for (int i = 0; i < 300; ++i) {
        void* block = nullptr;
        stage::inside_walk([&block] {
            stage::expect(posix_memalign(&block, std::size_t{64} << 10, 100'000) == 0, "there is memory");
            touch(static_cast<char*>(block), 100'000);
        });
        std::free(block);
    }
}

// Blocks of before are freed in walks: they wait for the end of that walk only.
void free_in_walks() {
    for (int i = 0; i < 100; ++i) {
        static char* blocks[100];
        for (char*& block : blocks) block = make(20'000);
        stage::inside_walk([] {
            for (char* block : blocks) std::free(block);
        });
    }
}

// In every round of the key destructors that end a thread; there are at most four.
pthread_key_t key;
constexpr std::intptr_t rounds = 4;
void end(void* round) {
    stage::inside_walk([] { stage::allocate_and_free(30'000); });
    const auto next = reinterpret_cast<std::intptr_t>(round) + 1;
    if (next <= rounds) pthread_setspecific(key, reinterpret_cast<void*>(next));
}
void key_destructors() {
    pthread_key_create(&key, end);
    for (int i = 0; i < 1500; ++i)
        std::thread([] { pthread_setspecific(key, reinterpret_cast<void*>(std::intptr_t{1})); }).join();
}

}  // namespace

int main(int, char** argv) {
    constexpr std::pair<const char*, void (*)()> shapes[] = {{"shrink", shrink},
                                                             {"shrink_in_steps", shrink_in_steps},
                                                             {"shrink_later", shrink_later},
                                                             {"grow", grow},
                                                             {"grow_across_walks", grow_across_walks},
                                                             {"large", large},
                                                             {"large_freed_elsewhere", large_freed_elsewhere},
                                                             {"keep_one", keep_one},
                                                             {"keep_one_between", keep_one_between},
                                                             {"threads", threads},
                                                             {"aligned", aligned},
                                                             {"free_in_walks", free_in_walks},
                                                             {"key_destructors", key_destructors}};
    for (const auto& [name, run] : shapes) {
        if (name != std::string_view(argv[1])) continue;
        run();
        std::puts("done");
        return 0;
    }
    return 2;
}
