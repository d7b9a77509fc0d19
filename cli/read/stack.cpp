// SPDX-License-Identifier: Apache-2.0
// Unwinding without ptrace. Only stack pointer and program counter are known, the callee-saved registers are not: that
// suffices wherever the unwind tables find the frame from the stack pointer, as they do in optimised code. Where they
// do not, the words of the stack that follow call instructions are listed instead, and marked.
#include "cli/read/stack.h"

#include <elf.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>

#include <algorithm>

namespace unknot::cli {
namespace {

constexpr std::size_t most_frames = 128;
constexpr std::size_t scan_bytes = 64 << 10;

#if defined(__aarch64__)
constexpr int dwarf_stack_pointer = 31;
#else
constexpr int dwarf_stack_pointer = 7;
#endif

struct Target {
    const Process* process;
    const ThreadState* thread;  // the one being unwound now
};

pid_t next_thread(Dwfl*, void* data, void** state) {
    auto& target = *static_cast<Target*>(data);
    if (*state != nullptr) return 0;
    *state = data;
    return target.thread == nullptr ? 0 : target.thread->tid;
}

bool read_word(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* data) {
    return static_cast<Target*>(data)->process->read(address, result, sizeof *result);
}

bool set_registers(Dwfl_Thread* thread, void* data) {
    const ThreadState& state = *static_cast<Target*>(data)->thread;
    const Dwarf_Word stack_pointer = state.stack_pointer;
    if (!dwfl_thread_state_registers(thread, dwarf_stack_pointer, 1, &stack_pointer)) return false;
    dwfl_thread_state_register_pc(thread, state.program_counter);
    return true;
}

constexpr Dwfl_Thread_Callbacks thread_callbacks = {next_thread, nullptr, read_word, set_registers, nullptr, nullptr};

// Every module is reported with its file; this is asked for nothing but modules that have none.
int find_no_file(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) {
    return -1;
}

// Separate debug files would be searched for on disk, and by some builds on the network.
int find_no_debuginfo(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word, char**) {
    return -1;
}

constexpr Dwfl_Callbacks file_callbacks = {find_no_file, find_no_debuginfo, nullptr, nullptr};

struct Collected {
    std::vector<std::pair<std::uint64_t, bool>> frames;  // address, is a return address
};

int collect(Dwfl_Frame* frame, void* data) {
    auto& collected = *static_cast<Collected*>(data);
    Dwarf_Addr address = 0;
    bool exact = false;
    if (!dwfl_frame_pc(frame, &address, &exact)) return DWARF_CB_ABORT;
    collected.frames.emplace_back(address, !exact);
    return collected.frames.size() < most_frames ? DWARF_CB_OK : DWARF_CB_ABORT;
}

// Does a call instruction end right before `address`?
bool follows_a_call(const Process& process, std::uint64_t address) {
#if defined(__aarch64__)
    const auto word = process.read<std::uint32_t>(address - 4);
    return word && ((*word & 0xfc000000u) == 0x94000000u || (*word & 0xfffffc1fu) == 0xd63f0000u);
#else
    unsigned char code[7];
    if (!process.read(address - sizeof code, code, sizeof code)) return false;
    if (code[2] == 0xe8) return true;       // call rel32
    for (std::size_t at = 0; at < 6; ++at)  // call through a register or memory: FF /2
        if (code[at] == 0xff && ((code[at + 1] >> 3) & 7) == 2) return true;
    return false;
#endif
}

// Is this where a signal handler returns to: mov $SYS_rt_sigreturn, and the system call?
bool returns_from_signal(const Process& process, std::uint64_t address) {
#if defined(__aarch64__)
    constexpr std::uint64_t code = 0xd4000001d2801168u;  // mov x8, #139; svc #0
    return process.read<std::uint64_t>(address) == code;
#else
    constexpr unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};  // mov $15, %rax; syscall
    unsigned char seen[sizeof code];
    return process.read(address, seen, sizeof seen) && std::equal(seen, seen + sizeof seen, code);
#endif
}

// Code of the libc that `walk`, a frame in dl_iterate_phdr, is in. Until glibc 2.34 (its NEWS) the locks are another
// library's.
bool is_of_libc(const Frame& frame, const Frame& walk) {
    return frame.object == walk.object || frame.object.starts_with("libpthread");
}

}  // namespace

const Frame* Stack::named_frame_in(const std::string& object) const {
    const Frame* innermost = nullptr;
    for (const Frame& frame : frames) {
        if (frame.object != object) continue;
        if (frame.has_name()) return &frame;
        if (innermost == nullptr) innermost = &frame;
    }
    return innermost;
}

std::string Stack::callback_of_walk() const {
    for (std::size_t i = 1; i < frames.size(); ++i) {
        if (!frames[i].text.starts_with("dl_iterate_phdr") || frames[i].scanned) continue;
        // What libc calls from there itself is the lock; the shim stands between as another dl_iterate_phdr.
        if (!is_of_libc(frames[i - 1], frames[i]) && !frames[i - 1].text.starts_with("dl_iterate_phdr"))
            return frames[i - 1].text;
    }
    return {};
}

std::string Stack::interrupted_walk() const {
    const auto is_walk = [](const Frame& frame) { return frame.text.starts_with("dl_iterate_phdr") && !frame.scanned; };
    const auto inner = std::find_if(frames.begin(), frames.end(), is_walk);
    if (inner == frames.end()) return {};
    for (auto outer = std::find_if(inner + 1, frames.end(), is_walk); outer != frames.end();
         outer = std::find_if(outer + 1, frames.end(), is_walk)) {
        // What libc calls from there itself is the lock; the frame within that is where the signal came in.
        if (outer - inner > 2 && is_of_libc(*(outer - 1), *outer) && is_of_libc(*(outer - 2), *outer))
            return (outer - 1)->text;
    }
    return {};
}

// The kernel lets handlers return to this function of libc (sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c), or into
// the vDSO on aarch64. It has no name in a stripped libc, so it is known by its code.
bool Stack::signal_frame() const {
    return std::any_of(frames.begin(), frames.end(), [](const Frame& frame) { return frame.returns_from_signal; });
}

struct StackReader::Session {
    Target target{};
    Dwfl* dwfl = nullptr;
    bool attached = false;
};

StackReader::StackReader(const Process& process, const Objects& objects, const std::vector<Mapping>& mappings)
    : process_(process), objects_(objects), mappings_(mappings), session_(std::make_unique<Session>()) {
    Session& session = *session_;
    session.target.process = &process;
    session.dwfl = dwfl_begin(&file_callbacks);
    if (session.dwfl == nullptr) return;
    // Modules from our own list: reading /proc/PID/maps again could see another moment, and libdwfl takes time with
    // thousands of mappings.
    dwfl_report_begin(session.dwfl);
    for (const Object& object : objects.list) {
        if (object.file == nullptr) continue;
        const std::string path = object.deleted ? std::string() : process.outside_path(object.path);
        if (!path.empty()) dwfl_report_elf(session.dwfl, object.name().c_str(), path.c_str(), -1, object.bias, true);
    }
    dwfl_report_end(session.dwfl, nullptr, nullptr);
    session.attached = dwfl_attach_state(session.dwfl, nullptr, process.pid(), &thread_callbacks, &session.target);
}

StackReader::~StackReader() {
    if (session_->dwfl != nullptr) dwfl_end(session_->dwfl);
}

Frame StackReader::frame_at(std::uint64_t address, bool is_return) const {
    Frame frame;
    frame.address = address;
    const Object* object = objects_.containing(is_return ? address - 1 : address);
    frame.object = object == nullptr ? std::string() : object->name();
    frame.text = objects_.describe(address, is_return);
    frame.returns_from_signal = returns_from_signal(process_, address);
    return frame;
}

Stack StackReader::unwind(const ThreadState& thread) const {
    Stack stack;
    if (!session_->attached) return stack;
    session_->target.thread = &thread;
    Collected collected;
    dwfl_getthread_frames(session_->dwfl, thread.tid, collect, &collected);
    session_->target.thread = nullptr;
    for (const auto& [address, is_return] : collected.frames)
        if (address != 0) stack.frames.push_back(frame_at(address, is_return));
    return stack;
}

Stack StackReader::scan(const ThreadState& thread) const {
    Stack stack;
    std::uint64_t end = thread.stack_pointer + scan_bytes;
    for (const Mapping& mapping : mappings_)
        if (mapping.contains(thread.stack_pointer)) end = std::min(end, mapping.end);
    std::vector<std::uint64_t> words((end - thread.stack_pointer) / 8);
    if (!process_.read(thread.stack_pointer, words.data(), words.size() * 8)) return stack;
    stack.frames.push_back(frame_at(thread.program_counter, false));
    for (const std::uint64_t word : words) {
        const auto mapping = std::find_if(mappings_.begin(), mappings_.end(),
                                          [&](const Mapping& each) { return each.executable && each.contains(word); });
        if (mapping == mappings_.end() || !follows_a_call(process_, word)) continue;
        Frame frame = frame_at(word, true);
        frame.scanned = true;
        stack.frames.push_back(std::move(frame));
        if (stack.frames.size() >= most_frames) break;
    }
    return stack;
}

Stack StackReader::read(const ThreadState& thread) const {
    if (!thread.in_syscall || thread.stack_pointer == 0) return {};
    Stack unwound = unwind(thread);
    // A stack that ends after a frame or two was cut short by a register that is not known.
    constexpr std::size_t too_short = 4;
    if (unwound.frames.size() >= too_short) return unwound;
    Stack scanned = scan(thread);
    return scanned.frames.size() > unwound.frames.size() ? scanned : unwound;
}

}  // namespace unknot::cli
