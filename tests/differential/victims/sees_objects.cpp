// SPDX-License-Identifier: Apache-2.0
// A walk shows what is loaded, exactly: after each load and unload, in a constructor, and inside a walk.
#include "tests/differential/stage.h"

namespace {

struct Answer {
    const char* name;
    bool found;
    unsigned long long adds, subs;
};

Answer look_for(const char* name) {
    Answer answer{name, false, 0, 0};
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            auto* wanted = static_cast<Answer*>(data);
            wanted->found = wanted->found || std::strstr(info->dlpi_name, wanted->name) != nullptr;
            wanted->adds = info->dlpi_adds;
            wanted->subs = info->dlpi_subs;
            return 0;
        },
        &answer);
    return answer;
}

int seen_by_itself;

}  // namespace

extern "C" void when_loaded() {
    seen_by_itself += look_for("calls_back").found;
}
extern "C" void when_unloaded() {
    seen_by_itself += look_for("calls_back").found;
}

int main() {
    int right = 0;
    unsigned long long adds = look_for("").adds;
    for (int i = 0; i < 50; ++i) {
        right += !look_for("calls_back").found;
        void* library = dlopen("calls_back.so", RTLD_NOW);
        const Answer loaded = look_for("calls_back");
        right += loaded.found && loaded.adds > adds;
        adds = loaded.adds;
        stage::inside_walk([&right] { right += look_for("calls_back").found; });
        dlclose(library);
        right += !look_for("calls_back").found;
    }
    const bool same_count = stage::count_objects() == stage::count_objects();
    std::printf("%d of 200 right, seen by itself %d times of 100, %d\n", right, seen_by_itself, same_count);
    return 0;
}
