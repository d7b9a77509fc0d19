// SPDX-License-Identifier: Apache-2.0
// What other people's code does around the loader: fork handlers with a lock, constructors that are programs, plug-ins
// that are bound to libc first.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <cstdlib>
#include <cstring>

#include "tests/operations/failure.h"
#include "tests/operations/worker.h"

namespace operations {

namespace {

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void walk() {
    int objects = 0;
    dl_iterate_phdr([](dl_phdr_info*, std::size_t, void* data) { return ++*static_cast<int*>(data), 0; }, &objects);
    if (objects < 3) fail("a walk in a fork handler sees %d objects", objects);
}

void before_fork() {
    pthread_mutex_lock(&lock);
    walk();
}
void after_fork() {
    walk();
    pthread_mutex_unlock(&lock);
}

}  // namespace

void register_fork_handlers() {
    if (pthread_atfork(before_fork, after_fork, after_fork) != 0) fail("pthread_atfork failed");
}

void Worker::work_under_a_lock() {
    ++tally_.locked;
    pthread_mutex_lock(&lock);
    in_a_walk();
    a_few_blocks();
    throw_and_catch();
    pthread_mutex_unlock(&lock);
}

void Worker::work_in_constructor_for_long() {
    ++tally_.stretches;
    stretches_ = true;
    load_and_unload();
    stretches_ = false;  // the library was loaded already: no constructor has run
}

void Worker::load_deep_plugin() {
    ++tally_.deep;
    void* plugin = dlopen(UNKNOT_PLUGIN_FOLDER "/operations_deep_plugin.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (plugin == nullptr) fail("%s", dlerror());
    auto* make = reinterpret_cast<char* (*)(std::size_t)>(dlsym(plugin, "operations_deep_make"));
    auto* take = reinterpret_cast<void (*)(char*)>(dlsym(plugin, "operations_deep_take"));
    if (make == nullptr || take == nullptr) fail("the deeply bound plug-in lacks a function");
    const std::size_t size = 1 + some_size();
    char* made = make(size);
    if (made == nullptr || std::strlen(made) != size - 1) fail("the deeply bound plug-in's block has changed");
    std::free(made);
    take(static_cast<char*>(std::malloc(size)));
    dlclose(plugin);
}

}  // namespace operations
