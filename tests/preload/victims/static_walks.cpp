// SPDX-License-Identifier: Apache-2.0
// A static, position-independent program with libunknot_walks.a: its walk is libc's own, and no unwinder waits for
// another thread's. Without the archive the third check never comes back.
#include "shim/system/static_libc.h"

#include <sys/wait.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/preload/victims/scene.h"

namespace {

using Walk = int (*)(int (*)(dl_phdr_info*, std::size_t, void*), void*);

struct Seen {
    const void* begins_with = nullptr;  // an unwinder's data begins with the address that it looks for
    std::vector<std::string> objects = {};
    std::size_t size = 0;
};

int see(dl_phdr_info* info, std::size_t size, void* data) {
    Seen& seen = *static_cast<Seen*>(data);
    char line[512];
    std::snprintf(line, sizeof line, "%p %s %p %d", reinterpret_cast<void*>(info->dlpi_addr), info->dlpi_name,
                  static_cast<const void*>(info->dlpi_phdr), info->dlpi_phnum);
    seen.objects.emplace_back(line);
    seen.size = size;
    return 0;
}

// As an unwinder asks about its caller.
[[gnu::noinline]] Seen unwind() {
    Seen seen{static_cast<const char*>(__builtin_return_address(0)) - 1};
    dl_iterate_phdr(see, &seen);
    return seen;
}

Seen walk_with(Walk walk) {
    Seen seen;
    scene::expect(walk(see, &seen) == 0, "the result is the callback's");
    return seen;
}

// A thread inside a callback, until it is told to go on.
class Walking {
  public:
    Walking() {
        while (!inside_) std::this_thread::yield();
    }
    ~Walking() {
        go_on_ = true;
        thread_.join();
    }

  private:
    static int stay(dl_phdr_info*, std::size_t, void* self) {
        Walking& walking = *static_cast<Walking*>(self);
        walking.inside_ = true;
        while (!walking.go_on_) std::this_thread::yield();
        return 1;
    }
    std::atomic<bool> inside_{false}, go_on_{false};
    std::thread thread_{[this] { dl_iterate_phdr(stay, this); }};
};

int throw_one(dl_phdr_info*, std::size_t, void*) {
    throw 1;
}

bool somebody_waits() {
    constexpr int contended = 2;  // glibc, nptl/lowlevellock.h
    return __atomic_load_n(&_dl_load_write_lock.__data.__lock, __ATOMIC_RELAXED) == contended;
}

}  // namespace

int main() {
    const Seen native = walk_with(__dl_iterate_phdr);
    const Seen ours = walk_with(dl_iterate_phdr);
    scene::expect(!native.objects.empty() && ours.objects == native.objects, "the objects are libc's");
    scene::expect(ours.size == native.size, "and their size");

    try {
        dl_iterate_phdr(throw_one, nullptr);
        scene::expect(false, "the callback has thrown");
    } catch (int) {
    }
    std::thread(walk_with, dl_iterate_phdr).join();  // would wait for ever

    std::atomic<bool> done{false};
    std::thread other;
    {
        const Walking walking;
        const Seen seen = unwind();
        scene::expect(seen.objects == native.objects, "an unwinder sees the same beside a walk");
        scene::expect(seen.size < native.size, "and may keep no cache");
        if (const pid_t child = fork(); child == 0) {
            _exit(unwind().objects == native.objects ? 0 : 1);
        } else {
            int status = -1;
            scene::expect(waitpid(child, &status, 0) == child && status == 0, "a child beside a walk can unwind");
        }
        other = std::thread([&] {
            walk_with(dl_iterate_phdr);
            done = true;
        });
        while (!somebody_waits()) std::this_thread::yield();
        scene::expect(!done, "others wait for the lock");
    }
    other.join();
    scene::progress("compared", static_cast<long>(native.objects.size()));
}
