// SPDX-License-Identifier: Apache-2.0
// Its constructor and destructor run the program's operations inside dlopen and dlclose, and it throws. No thread-local
// storage: a thread that touches some inside a walk, after such a plug-in was loaded, waits for _dl_load_tls_lock,
// whose owner waits in dlopen for the walk to end (glibc 2.36, without any shim).
extern "C" void operations_constructor_runs();

extern "C" [[gnu::constructor]] void operations_plugin_starts() {
    operations_constructor_runs();
}
extern "C" [[gnu::destructor]] void operations_plugin_ends() {
    operations_constructor_runs();
}

extern "C" int operations_plugin_answer() {
    try {
        throw 42;
    } catch (int answer) {
        return answer;
    }
}
