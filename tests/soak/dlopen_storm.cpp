// SPDX-License-Identifier: Apache-2.0
// A storm of dlopen, dlclose and dlopens that fail late, which allocate and free under the loader's locks, beside a
// thread that takes large blocks from 512 call sites and measures how long each took: sampled, every one of them
// unwinds. The heap lets all of them go now and then, so that it stays as large as it is.
//   dlopen_storm SECONDS
#include <dlfcn.h>

#include <cstring>

#include "tests/preload/victims/scene.h"
#include "tests/soak/storm.h"

namespace {

constexpr std::size_t blocks_held = 64;

void load_and_unload() {
    void* bundle = dlopen("libbundle.so", RTLD_NOW);
    scene::expect(bundle != nullptr, "libbundle.so can be loaded");
    const auto keep = reinterpret_cast<void (*)(void*)>(dlsym(bundle, "keep"));
    scene::expect(keep != nullptr, "libbundle.so keeps a block");
    keep(std::malloc(1000));  // which dlclose frees under the lock
    dlclose(bundle);
}

// Its constructor takes a block that nobody frees for as long as the library is loaded: so this does.
void load_what_allocates() {
    void* library = dlopen("liballocates_in_constructor.so", RTLD_NOW);
    scene::expect(library != nullptr, "liballocates_in_constructor.so can be loaded");
    auto* block = static_cast<char**>(dlsym(library, "constructed"));
    scene::expect(block != nullptr && **block == 'c', "its constructor has run");
    std::free(*block);
    dlclose(library);
}

void fail_to_load() {
    scene::expect(dlopen("libbroken_bundle.so", RTLD_NOW) == nullptr, "libbroken_bundle.so cannot be loaded");
    const char* why = dlerror();
    scene::expect(why != nullptr && std::strstr(why, "libabsent.so") != nullptr, "dlerror names libabsent.so");
    scene::expect(dlopen("/no/such/library.so", RTLD_LAZY) == nullptr, "what is not there cannot be loaded");
    scene::expect(dlerror() != nullptr, "dlerror says why");
}

class Growing {
  public:
    explicit Growing(soak::Latencies& latencies) : latencies_(latencies) {}
    void operator()() {
        void*& place = held_[turn_ % blocks_held];
        std::free(place);
        const std::int64_t start = unknot::bench::wall_ns();
        place = growth::allocate_from[turn_ % growth::sites]();
        latencies_.add(unknot::bench::wall_ns() - start);
        scene::expect(place != nullptr, "2 MiB can be had");
        ++turn_;
        const timespec pause{0, 200'000};  // leaves the processors to the others
        nanosleep(&pause, nullptr);
    }

  private:
    soak::Latencies& latencies_;
    std::size_t turn_ = 0;
    std::array<void*, blocks_held> held_{};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    soak::Storm storm(argv[1]);
    // What frees under the lock needs blocks of its own: a new thread's cache overflows into the page heap.
    storm.thread("loads", [] { std::thread(load_and_unload).join(); });
    storm.thread("constructors", load_what_allocates);
    storm.thread("failures", [] { std::thread(fail_to_load).join(); });
    storm.thread("blocks", Growing(storm.latencies));
    storm.run();
}
