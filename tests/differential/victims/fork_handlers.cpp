// SPDX-License-Identifier: Apache-2.0
// Fork handlers of others, registered before everybody else's or after:
//   fork_handlers early|late|both lock WORK     take a lock under which another thread does WORK
//   fork_handlers early|late|both work WORK     do WORK themselves, in prepare, parent and child, beside a walk
#include "tests/differential/linked/early_handlers.h"
#include "tests/differential/stage.h"

namespace {

pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;
const char* handlers_work;

void take() {
    pthread_mutex_lock(&late_lock);
}
void give() {
    pthread_mutex_unlock(&late_lock);
}
void do_it() {
    stage::work(handlers_work);
}

void fork_often() {
    for (int i = 0; i < 120; ++i) {
        const pid_t child = fork();
        if (child == 0) _exit(0);
        stage::expect_to_end_well(child);
        ++stage::steps();
    }
}

}  // namespace

int main(int, char** argv) {
    stage::warm_up();
    const std::string_view when = argv[1];
    handlers_work = argv[3];
    const bool late = when != "early";
    const bool early = when != "late";
    if (argv[2] == std::string_view("work")) {
        early_work_passed_on([] {});
        if (late) pthread_atfork(do_it, do_it, do_it);
        if (early) early_work_passed_on(do_it);
        const stage::Bystander walks([] { stage::work("walk"); });
        fork_often();
    } else {
        pthread_atfork(take, give, give);
        const stage::Bystander works([=] {
            if (late) take();
            if (early) pthread_mutex_lock(early_lock_passed_on());
            stage::work(handlers_work);
            if (early) pthread_mutex_unlock(early_lock_passed_on());
            if (late) give();
        });
        fork_often();
    }
    std::puts("forked");
    return 0;
}
