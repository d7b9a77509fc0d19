// SPDX-License-Identifier: Apache-2.0
#include "shim/report.h"

#include <stdlib.h>
#include <string.h>

#include "shim/platform.h"

namespace unknot::report {

namespace {

constinit LogTarget log_target{};

// One line, built on the stack, cut when it is too long, written by one write(2).
class Line {
  public:
    Line() { *this << "unknot[" << std::uint64_t{raw::pid()} << "]: "; }

    Line& operator<<(const char* text) {
        while (*text != '\0') put(*text++);
        return *this;
    }

    Line& operator<<(std::uint64_t number) {
        char digits[20];
        std::size_t n = 0;
        do digits[n++] = static_cast<char>('0' + number % 10);
        while ((number /= 10) != 0);
        while (n != 0) put(digits[--n]);
        return *this;
    }

    Line& hex(std::uint64_t number) {
        *this << "0x";
        bool leading = true;
        for (int shift = 60; shift >= 0; shift -= 4) {
            const auto digit = static_cast<unsigned>(number >> shift) & 15u;
            leading = leading && digit == 0 && shift != 0;
            if (!leading) put("0123456789abcdef"[digit]);
        }
        return *this;
    }

    Line& operator<<(const void* address) { return hex(reinterpret_cast<std::uintptr_t>(address)); }

    void write() {
        text_[size_++] = '\n';
        if (log_target.is_stderr()) return raw::write_all(2, text_, size_);
        char path[sizeof log_target.path + 16];
        expand(path);
        // Opened for every line: a descriptor that is kept could be closed by the program and mean another file then.
        const int fd = raw::open_append(path);
        if (fd < 0) return raw::write_all(2, text_, size_);
        raw::write_all(fd, text_, size_);
        raw::close(fd);
    }

  private:
    void put(char c) {
        if (size_ + 1 < sizeof text_) text_[size_++] = c;
    }

    // The first %p becomes the pid. `to` has room for a whole log path and the digits.
    static void expand(char* to) {
        const char* from = log_target.path;
        if (const char* mark = strstr(from, "%p")) {
            to = append(to, from, static_cast<std::size_t>(mark - from));
            char digits[12];
            std::size_t n = 0;
            for (std::uint32_t pid = raw::pid(); pid != 0 || n == 0; pid /= 10) {
                digits[sizeof digits - ++n] = static_cast<char>('0' + pid % 10);
            }
            to = append(to, digits + sizeof digits - n, n);
            from = mark + 2;
        }
        append(to, from, strlen(from) + 1);
    }
    static char* append(char* to, const char* from, std::size_t bytes) {
        return static_cast<char*>(memcpy(to, from, bytes)) + bytes;
    }

    char text_[2048];
    std::size_t size_ = 0;
};

const char* name(Mode mode) {
    constexpr const char* names[] = {"auto", "protect", "observe", "off", "pass_through"};
    return names[static_cast<std::size_t>(mode)];
}
const char* name(Probe probe) {
    constexpr const char* names[] = {"none", "owner_words", "wrapper"};
    return names[static_cast<std::size_t>(probe)];
}
const char* name(AllocatorKind kind) {
    constexpr const char* names[] = {"unknown",        "glibc",    "tcmalloc", "tcmalloc_minimal",
                                     "tcmalloc_debug", "jemalloc", "mimalloc"};
    return names[static_cast<std::size_t>(kind)];
}
const char* name(WalkMode mode) {
    return mode == WalkMode::native ? "native" : "nonblocking";
}

unsigned edges(const WitnessRecord (&records)[witness_records], const char* edge) {
    unsigned seen = 0;
    for (const WitnessRecord& record : records) {
        if (record.count == 0) continue;
        ++seen;
        Line line;
        line << edge << " count=" << record.count << " at ";
        line << (record.object[0] != '\0' ? record.object : "?") << "+";
        line.hex(record.object[0] != '\0' ? record.offset : record.address).write();
    }
    return seen;
}

}  // namespace

void use_log(const LogTarget& target) {
    log_target = target;
}

void bad_setting(const BadSetting& bad) {
    Line line;
    line << bad.variable << "=" << bad.value << " is not understood: expected " << bad.accepted << "; using "
         << bad.fallback;
    line.write();
}

void not_on_path(const char* owner) {
    Line line;
    line << "not on the path: " << owner
         << " defines malloc itself, before any preload; this process runs as without unknot";
    line.write();
}

void wrong_order(const char* allocator) {
    Line line;
    line << "wrong order: " << allocator
         << " is preloaded before libunknot.so; put libunknot.so first; this process runs as without unknot";
    line.write();
}

void no_real_allocator() {
    Line line;
    line << "no object after libunknot.so defines malloc; nothing can be allocated";
    line.write();
    abort();
}

void missing_vendor(const char* object, const char* function) {
    Line line;
    line << object << " is preloaded, but no object after it defines " << function
         << ": it belongs beside that allocator only; preload it between libunknot.so and the allocator, or not at all";
    line.write();
}

void missing_function(const char* function) {
    Line line;
    line << function << " was called, and the allocator has no such function; nothing can be returned";
    line.write();
    abort();
}

void calibration_failed(const char* reason) {
    Line line;
    line << "the loader's locks were not found (" << reason
         << "): only dl_iterate_phdr walks are protected (probe=wrapper), dlopen and dlclose are not";
    line.write();
}

void static_reserve(std::size_t bytes) {
    Line line;
    line << "no address space for the arena: using the static reserve of " << bytes << " bytes";
    line.write();
}

void statistics(const StatsPage& page) {
    Line line;
    line << "report mode=" << name(page.mode) << " probe=" << name(page.probe) << " allocator=" << name(page.allocator)
         << " walk=" << name(page.walk_mode);
    line << " flags=" << std::uint64_t{page.flags};
#define UNKNOT_PRINT(counter, unit, kind, help) line << " " #counter "=" << page.counter;
    UNKNOT_COUNTERS(UNKNOT_PRINT)
#undef UNKNOT_PRINT
    line.write();
    if (page.mode != Mode::observe) return;
    const unsigned under = edges(page.under_loader_lock, "under_loader_lock");
    const unsigned inside = edges(page.inside_allocator, "inside_allocator");
    Line verdict;
    if (under != 0 && inside != 0) {
        verdict << "verdict: both edges seen: this process can deadlock";
    } else if (under + inside != 0) {
        verdict << "verdict: one edge seen: "
                << (under != 0 ? "allocations under a loader lock" : "walks inside the allocator")
                << ", but not the other";
    } else {
        verdict << "verdict: no edge seen";
    }
    verdict.write();
}

void double_free(const void* block, std::size_t bytes, const char* operation) {
    Line line;
    line << "double free of arena block " << block;
    if (bytes != 0) line << " (" << std::uint64_t{bytes} << " bytes)";
    line << " in " << operation;
    line.write();
    abort();
}

void not_a_block(const void* block, const char* operation) {
    Line line;
    line << operation << " of " << block
         << ", which lies in the arena but is no block of it: an interior or foreign pointer, or its header was "
            "overwritten";
    line.write();
    abort();
}

void cannot_throw(std::size_t bytes) {
    Line line;
    line << "operator new of " << std::uint64_t{bytes}
         << " bytes failed, and no C++ runtime was found to throw std::bad_alloc";
    line.write();
    abort();
}

}  // namespace unknot::report
