// SPDX-License-Identifier: Apache-2.0
// The snapshot of the loaded objects against the real loader: threads read it while others load, unload and take new
// ones. Under ThreadSanitizer too.
#include "shim/loader/loaded_objects.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "shim/loader/fork_handlers.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/native_walk.h"
#include "tests/shim/fresh_arena.h"

namespace unknot {

namespace {

#ifdef __SANITIZE_THREAD__
// ThreadSanitizer does not see ld.so's locks; this one, taken around walks, loads and unloads, stands for them.
std::recursive_mutex seen_lock;

// The callbacks run under the lock that is seen and not under ld.so's: a report made in one of them waits for its turn
// to report, and whoever's turn it is walks the loaded objects to name its frames.
int walk(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
    const std::lock_guard owned(seen_lock);
    std::vector<dl_phdr_info> objects;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* to) {
            static_cast<std::vector<dl_phdr_info>*>(to)->push_back(*info);
            return 0;
        },
        &objects);
    int result = 0;
    for (dl_phdr_info& object : objects) {
        result = callback(&object, sizeof object, data);
        if (result != 0) break;
    }
    return result;
}

void* load(const std::string& path) {
    const std::lock_guard owned(seen_lock);
    return dlopen(path.c_str(), RTLD_NOW);
}

void unload(void* library) {
    const std::lock_guard owned(seen_lock);
    dlclose(library);
}
#else
int walk(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
    return ::dl_iterate_phdr(callback, data);
}

void* load(const std::string& path) {
    return dlopen(path.c_str(), RTLD_NOW);
}

void unload(void* library) {
    dlclose(library);
}
#endif

}  // namespace

constinit std::atomic<bool> in_doubt{false};

// The shim's own, so that ThreadSanitizer's lock is taken around it too.
int native_walk(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data) {
    return walk(callback, data);
}

namespace {

struct Sum {
    std::uint64_t objects = 0;
    std::uint64_t headers = 0;
    std::uint64_t letters = 0;
    bool saw_libc = false;
    bool sound = true;

    static int add(dl_phdr_info* info, std::size_t size, void* data) {
        Sum& sum = *static_cast<Sum*>(data);
        ++sum.objects;
        sum.letters += std::strlen(info->dlpi_name);
        sum.saw_libc = sum.saw_libc || std::strstr(info->dlpi_name, "libc.so.6") != nullptr;
        bool has_code = false;
        for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
            sum.headers += info->dlpi_phdr[i].p_type != PT_NULL;
            has_code = has_code || (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0);
        }
        // Only the head of the structure is filled, and every object has code.
        sum.sound =
            sum.sound && has_code && size == offsetof(dl_phdr_info, dlpi_adds) && info->dlpi_tls_data == nullptr;
        return 0;
    }
};

Sum read_snapshot() {
    Sum sum;
    int result = -1;
    EXPECT_TRUE(walk_snapshot(Sum::add, &sum, result));
    EXPECT_EQ(result, 0);
    return sum;
}

std::uint64_t objects_now() {
    std::uint64_t count = 0;
    walk(
        [](dl_phdr_info*, std::size_t, void* data) {
            ++*static_cast<std::uint64_t*>(data);
            return 0;
        },
        &count);
    return count;
}

std::string plugin(int number) {
    return UNKNOT_BINARY_DIR "/snapshot_plugin_" + std::to_string(number) + ".so";
}

TEST(Snapshot, shows_what_is_loaded_and_leaves_out_what_has_gone) {
    refresh_snapshot();
    ASSERT_TRUE(has_snapshot());
    EXPECT_EQ(read_snapshot().objects, objects_now());
    void* library = load(plugin(0));
    ASSERT_NE(library, nullptr) << dlerror();
    EXPECT_EQ(read_snapshot().objects + 1, objects_now());
    refresh_snapshot();
    EXPECT_EQ(read_snapshot().objects, objects_now());
    unload(library);
    // Its headers are no longer at their place.
    EXPECT_EQ(read_snapshot().objects, objects_now());
}

TEST(Snapshot, ends_with_the_callback_that_says_so) {
    refresh_snapshot();
    int result = 0;
    auto seven = [](dl_phdr_info*, std::size_t, void*) { return 7; };
    EXPECT_TRUE(walk_snapshot(seven, nullptr, result));
    EXPECT_EQ(result, 7);
}

TEST(Snapshot, stays_whole_for_its_readers_while_libraries_come_and_go) {
    constexpr int rounds = testing::sanitized ? 300 : 3000;
    refresh_snapshot();
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> reads{0};
    std::atomic<bool> sound{true};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            const auto* unwinder = reinterpret_cast<const void*>(&Sum::add);  // code of nobody special
            while (!stop) {
                const Sum sum = read_snapshot();
                if (!sum.sound || !sum.saw_libc || is_inner_code(unwinder)) sound = false;
                ++reads;
            }
        });
    }
    std::vector<std::thread> loaders;
    for (int number = 0; number < 2; ++number) {
        loaders.emplace_back([&, number] {
            for (int round = 0; round < rounds; ++round) {
                void* library = load(plugin(number));
                if (library == nullptr) sound = false;
                refresh_snapshot();
                unload(library);
                refresh_snapshot();
            }
        });
    }
    for (std::thread& loader : loaders) loader.join();
    // Every reader has read something.
    while (reads < 3) std::this_thread::yield();
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_TRUE(sound);
    EXPECT_EQ(read_snapshot().objects, objects_now());
}

}  // namespace
}  // namespace unknot
