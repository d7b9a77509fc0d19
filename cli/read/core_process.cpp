// SPDX-License-Identifier: Apache-2.0
// The notes of a core (elf.h, sys/procfs.h; Linux, fs/binfmt_elf.c): a thread's registers (NT_PRSTATUS), the process
// (NT_PRPSINFO), which file lies where (NT_FILE), the auxiliary vector (NT_AUXV).
#include "cli/read/core_process.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

constexpr std::size_t most_notes = std::size_t{64} << 20;

// What the kernel leaves in the result's register of a thread that sleeps in a system call (linux/errno.h).
constexpr std::int64_t broken_sleeps[] = {-512, -513, -514, -516};

#if defined(__x86_64__)
constexpr unsigned own_machine = EM_X86_64;
void take_registers(const elf_gregset_t& words, ThreadState& thread) {
    user_regs_struct registers;
    static_assert(sizeof registers == sizeof words);
    std::memcpy(&registers, &words, sizeof registers);
    thread.stack_pointer = registers.rsp;
    thread.program_counter = registers.rip;
    thread.syscall = static_cast<long>(registers.orig_rax);
    const std::uint64_t arguments[] = {registers.rdi, registers.rsi, registers.rdx,
                                       registers.r10, registers.r8,  registers.r9};
    std::copy(std::begin(arguments), std::end(arguments), thread.argument);
    const auto result = static_cast<std::int64_t>(registers.rax);
    const bool slept = std::find(std::begin(broken_sleeps), std::end(broken_sleeps), result) != std::end(broken_sleeps);
    thread.in_syscall = thread.syscall >= 0 && slept;
}
#else
constexpr unsigned own_machine = EM_AARCH64;
// No word tells there which system call a thread was in, or whether it was: x8 and x0 do as long as it slept.
void take_registers(const elf_gregset_t& words, ThreadState& thread) {
    user_regs_struct registers;
    std::memcpy(&registers, &words, sizeof registers);
    thread.stack_pointer = registers.sp;
    thread.program_counter = registers.pc;
    thread.syscall = static_cast<long>(registers.regs[8]);
    std::copy_n(registers.regs, 6, thread.argument);
    const auto result = static_cast<std::int64_t>(registers.regs[0]);
    thread.in_syscall =
        std::find(std::begin(broken_sleeps), std::end(broken_sleeps), result) != std::end(broken_sleeps);
}
#endif

bool read_exactly(int file, void* to, std::size_t size, std::uint64_t offset) {
    return pread(file, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

std::uint64_t word_at(const std::string& bytes, std::size_t at) {
    std::uint64_t word = 0;
    if (at + sizeof word <= bytes.size()) std::memcpy(&word, bytes.data() + at, sizeof word);
    return word;
}

}  // namespace

CoreProcess::CoreProcess(const CoreOptions& options) : options_(options) {
    core_ = open(options_.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (core_ < 0) throw Trouble(fmt::format("{}: {}", options_.file, std::strerror(errno)));
    try {
        read_headers();
        name_mappings();
        find_program();
    } catch (...) {
        close(core_);  // the destructor of what was never whole does not run
        throw;
    }
    notes_.push_back(
        "a core is one moment: that its threads slept in system calls is inferred from their registers, that none "
        "would have "
        "moved from the cycle");
}

CoreProcess::~CoreProcess() {
    for (const auto& [path, file] : opened_)
        if (file >= 0) close(file);
    if (core_ >= 0) close(core_);
}

void CoreProcess::read_headers() {
    Elf64_Ehdr header;
    const bool is_elf =
        read_exactly(core_, &header, sizeof header, 0) && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
    if (!is_elf || header.e_type != ET_CORE)
        throw Trouble(options_.file +
                      " is no core dump (a compressed one has to be decompressed first: coredumpctl dump, zstd -d)");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != own_machine)
        throw Trouble(options_.file + " is of another machine than this program");
    std::uint64_t count = header.e_phnum;
    Elf64_Shdr first;
    if (count == PN_XNUM && read_exactly(core_, &first, sizeof first, header.e_shoff)) count = first.sh_info;

    struct stat facts {};
    fstat(core_, &facts);
    std::uint64_t needed = 0;
    std::string notes;
    for (std::uint64_t i = 0; i < count; ++i) {
        Elf64_Phdr segment;
        if (!read_exactly(core_, &segment, sizeof segment, header.e_phoff + i * sizeof segment))
            throw Trouble(options_.file + " is cut off");
        if (segment.p_type == PT_NOTE && segment.p_filesz <= most_notes) {
            notes.resize(segment.p_filesz);
            if (!read_exactly(core_, notes.data(), notes.size(), segment.p_offset))
                throw Trouble(options_.file + " is cut off");
        }
        if (segment.p_type != PT_LOAD) continue;
        needed = std::max(needed, segment.p_offset + segment.p_filesz);
        segments_.push_back({segment.p_vaddr, segment.p_memsz, segment.p_filesz, segment.p_offset});
        Mapping mapping;
        mapping.start = segment.p_vaddr;
        mapping.end = segment.p_vaddr + segment.p_memsz;
        mapping.readable = (segment.p_flags & PF_R) != 0;
        mapping.writable = (segment.p_flags & PF_W) != 0;
        mapping.executable = (segment.p_flags & PF_X) != 0;
        mappings_.push_back(mapping);
    }
    if (needed > static_cast<std::uint64_t>(facts.st_size))
        notes_.push_back(fmt::format("{} is cut off: {} of {} bytes are there", options_.file, facts.st_size, needed));
    for (std::size_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
        Elf64_Nhdr note;
        std::memcpy(&note, notes.data() + at, sizeof note);
        at += sizeof note;
        const std::size_t name = at, text = at + ((note.n_namesz + 3u) & ~3u);
        at = text + ((note.n_descsz + 3u) & ~3u);
        if (at > notes.size()) break;
        read_note(note.n_type, std::string(notes.c_str() + name, strnlen(notes.c_str() + name, note.n_namesz)),
                  notes.substr(text, note.n_descsz));
    }
    if (threads_.empty()) throw Trouble(options_.file + " holds no thread");
    for (ThreadState& thread : threads_) thread.name = name_;  // a dump has no other
}

void CoreProcess::read_note(unsigned type, const std::string& name, const std::string& bytes) {
    if (name != "CORE") return;
    if (type == NT_PRSTATUS) read_thread(bytes);
    if (type == NT_FILE) read_files(bytes);
    if (type == NT_AUXV)
        for (std::size_t at = 0; at + 16 <= bytes.size(); at += 16)
            auxiliary_[word_at(bytes, at)] = word_at(bytes, at + 8);
    if (type == NT_PRPSINFO && bytes.size() >= sizeof(elf_prpsinfo)) {
        elf_prpsinfo facts;
        std::memcpy(&facts, bytes.data(), sizeof facts);
        pid_ = inner_pid_ = facts.pr_pid;
        name_.assign(facts.pr_fname, strnlen(facts.pr_fname, sizeof facts.pr_fname));
    }
}

void CoreProcess::read_thread(const std::string& bytes) {
    if (bytes.size() < sizeof(elf_prstatus)) return;
    elf_prstatus facts;
    std::memcpy(&facts, bytes.data(), sizeof facts);
    ThreadState thread;
    // The ids of a dump are those of the process's own namespace (fs/binfmt_elf.c, fill_prstatus).
    thread.tid = thread.inner_tid = facts.pr_pid;
    thread.syscall_readable = true;
    take_registers(facts.pr_reg, thread);
    thread.state = thread.in_syscall ? 'S' : 'R';
    threads_.push_back(thread);
}

// Count, page size, then start, end and page of each, then the names.
void CoreProcess::read_files(const std::string& bytes) {
    const std::uint64_t count = word_at(bytes, 0), page = word_at(bytes, 8);
    if (count > bytes.size() / 24) return;
    std::size_t name = 16 + count * 24;
    for (std::uint64_t i = 0; i < count && name < bytes.size(); ++i) {
        Mapping mapping;
        mapping.start = word_at(bytes, 16 + i * 24);
        mapping.end = word_at(bytes, 24 + i * 24);
        mapping.offset = word_at(bytes, 32 + i * 24) * page;
        mapping.path = bytes.c_str() + name;
        name += mapping.path.size() + 1;
        constexpr std::string_view gone = " (deleted)";
        if (mapping.path.ends_with(gone)) {
            mapping.deleted = true;
            mapping.path.resize(mapping.path.size() - gone.size());
        }
        files_.push_back(std::move(mapping));
    }
}

// The dump's segments have the rights, its list of files the names. A segment may hold several files' parts (gcore
// joins neighbours), and a file's part may be in none: gcore leaves out what nobody can have written to, code above
// all.
void CoreProcess::name_mappings() {
    const std::vector<Mapping> segments = std::move(mappings_);
    mappings_.clear();
    const auto by_start = [](const Mapping& a, const Mapping& b) { return a.start < b.start; };
    std::sort(files_.begin(), files_.end(), by_start);
    for (Mapping file : files_) {
        const auto segment = std::find_if(segments.begin(), segments.end(),
                                          [&](const Mapping& each) { return each.contains(file.start); });
        file.readable = segment == segments.end() || segment->readable;
        file.writable = segment != segments.end() && segment->writable;
        file.executable = segment == segments.end() || segment->executable;
        mappings_.push_back(file);
    }
    for (Mapping rest : segments) {
        const std::uint64_t end = rest.end;
        for (const Mapping& file : files_) {
            if (file.end <= rest.start || file.start >= end) continue;
            rest.end = file.start;
            if (rest.end > rest.start) mappings_.push_back(rest);
            rest.start = file.end;
        }
        rest.end = end;
        if (rest.end > rest.start) mappings_.push_back(rest);
    }
    std::sort(mappings_.begin(), mappings_.end(), by_start);
}

// The vector of arguments lies where the program has been entered; its path where AT_EXECFN points, or in the mapping
// that holds AT_PHDR.
void CoreProcess::find_program() {
    const auto headers = auxiliary(AT_PHDR);
    for (const Mapping& mapping : mappings_)
        if (headers && mapping.contains(*headers)) executable_ = mapping.path;
    if (executable_.empty()) executable_ = options_.executable;
    if (const auto text = auxiliary(AT_EXECFN)) command_line_.push_back(read_string(*text, 4096));
}

std::string CoreProcess::outside_path(const std::string& path) const {
    if (path == executable_ && !options_.executable.empty()) return options_.executable;
    return options_.sysroot + path;
}

// The strings at the end of the stack, from the program's name downwards (Linux, fs/binfmt_elf.c): the environment ends
// where AT_EXECFN's text begins.
std::optional<std::string> CoreProcess::environment(std::string_view variable) const {
    const auto end = auxiliary(AT_EXECFN), begin = auxiliary(AT_RANDOM);
    if (!end || !begin || *begin >= *end || *end - *begin > (std::uint64_t{8} << 20)) return std::nullopt;
    std::string text(*end - *begin, '\0');
    if (!read(*begin, text.data(), text.size())) return std::nullopt;
    const std::string key = '\0' + std::string(variable) + '=';
    const std::size_t at = text.rfind(key);
    if (at == std::string::npos) return std::nullopt;
    return std::string(text.c_str() + at + key.size());
}

std::optional<std::uint64_t> CoreProcess::auxiliary(std::uint64_t type) const {
    const auto found = auxiliary_.find(type);
    return found == auxiliary_.end() ? std::nullopt : std::optional(found->second);
}

int CoreProcess::file_of(const Mapping& mapping) const {
    const auto known = opened_.find(mapping.path);
    if (known != opened_.end()) return known->second;
    const bool usable = mapping.path.starts_with('/') && !mapping.deleted;
    return opened_[mapping.path] =
               usable ? open(outside_path(mapping.path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
}

std::size_t CoreProcess::read_some(std::uint64_t address, void* to, std::size_t size) const {
    for (const Segment& segment : segments_) {
        if (address < segment.start || address >= segment.start + segment.in_file) continue;
        const std::uint64_t into = address - segment.start;
        const std::size_t most = std::min<std::uint64_t>(size, segment.in_file - into);
        const ssize_t n = pread(core_, to, most, static_cast<off_t>(segment.offset + into));
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    for (const Mapping& mapping : mappings_) {
        // A page that may have been written to is the core's to know.
        if (!mapping.contains(address) || mapping.path.empty() || mapping.writable) continue;
        const int file = file_of(mapping);
        const std::uint64_t into = address - mapping.start;
        const std::size_t most = std::min<std::uint64_t>(size, mapping.end - address);
        const ssize_t n = file < 0 ? 0 : pread(file, to, most, static_cast<off_t>(mapping.offset + into));
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    return 0;
}

bool CoreProcess::read(std::uint64_t address, void* to, std::size_t size) const {
    for (std::size_t done = 0; done < size;) {
        const std::size_t n = read_some(address + done, static_cast<char*>(to) + done, size - done);
        if (n == 0) return false;
        done += n;
    }
    return true;
}

}  // namespace unknot::cli
