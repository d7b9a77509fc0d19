// SPDX-License-Identifier: Apache-2.0
// What differs between machines and libcs, and nothing else: attributes, page size, raw system calls. Raw, because
// allocators interpose mmap and munmap (gperftools does, for its hooks) and because none of these may touch errno.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

#define UNKNOT_EXPORT [[gnu::visibility("default")]]
#define UNKNOT_COLD [[gnu::cold, gnu::noinline]]

namespace unknot {

// A pointer that has been through the linker is 8-byte aligned; so is everything malloc returns on these machines.
inline constexpr std::size_t word_size = sizeof(void*);
static_assert(word_size == 8, "Unknot knows 64-bit machines only");

// The largest page size of the supported machines (aarch64 kernels may use 64 KiB): a unit that is a whole number of
// pages everywhere, so that nothing has to ask at run time.
inline constexpr std::size_t page_multiple = std::size_t{64} << 10;

// The same where the machine says how large a page may be at most (the psABI's maximum page size): for what has pages
// of its own inside the object's data.
#if defined(__x86_64__)
inline constexpr std::size_t largest_page = std::size_t{4} << 10;
#else
inline constexpr std::size_t largest_page = page_multiple;
#endif

// What one core writes often and another reads often never lies in one of these.
inline constexpr std::size_t cache_line = 64;

namespace raw {

#if defined(__x86_64__)
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    register long x5 asm("x5") = f;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "Unknot knows x86_64 and aarch64"
#endif

inline long address(const void* p) {
    return static_cast<long>(reinterpret_cast<std::uintptr_t>(p));
}

inline bool failed(long result) {
    return static_cast<unsigned long>(result) >= static_cast<unsigned long>(-4095L);
}

// Advice: a kernel that refuses it costs nothing but what the advice was for.
inline void advise(void* start, std::size_t bytes, int advice) {
    call(SYS_madvise, address(start), static_cast<long>(bytes), advice);
}

// nullptr on failure. Not for core dumps: gdb's gcore reads what may not even be read, page by page, unless the mapping
// says so (gdb 7.11 and later heed the "dd" of /proc/PID/smaps).
inline void* reserve(std::size_t bytes) {
    const long got =
        call(SYS_mmap, 0, static_cast<long>(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (failed(got)) return nullptr;
    void* start = reinterpret_cast<void*>(got);
    advise(start, bytes, MADV_DONTDUMP);
    return start;
}

// Part of what was reserved becomes readable, writable and part of a core dump.
inline bool commit(void* start, std::size_t bytes) {
    if (failed(call(SYS_mprotect, address(start), static_cast<long>(bytes), PROT_READ | PROT_WRITE))) return false;
    advise(start, bytes, MADV_DODUMP);
    return true;
}

// Whole pages. A kernel that refuses leaves them writable, which harms nobody.
inline void make_read_only(void* start, std::size_t bytes) {
    call(SYS_mprotect, address(start), static_cast<long>(bytes), PROT_READ);
}

// Gives the pages back; the range stays writable and reads as zeroes. False: nothing was given back.
inline bool discard(void* start, std::size_t bytes) {
    return !failed(call(SYS_madvise, address(start), static_cast<long>(bytes), MADV_DONTNEED));
}

// The range reads as zeroes in the child of a fork, however it was made. False: Linux before 4.14.
inline bool wipe_on_fork(void* start, std::size_t bytes) {
    constexpr long wipeonfork = 18;  // MADV_WIPEONFORK, which headers older than the kernel do not name
    return !failed(call(SYS_madvise, address(start), static_cast<long>(bytes), wipeonfork));
}

inline void release(void* start, std::size_t bytes) {
    call(SYS_munmap, address(start), static_cast<long>(bytes));
}

// Negative: the error. Waits for no reader of a FIFO, and makes no terminal the process's own. Where the path's last
// part is a symbolic link that root or this user has made, it is followed; where somebody else has, as can be in /tmp,
// the answer is -ELOOP. (It is that one link that is judged: what a trusted link leads to is trusted.)
inline int open_append(const char* path) {
    constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const long fd = call(SYS_openat, AT_FDCWD, address(path), flags | O_NOFOLLOW, 0644);
    struct stat link {};
    if (fd != -ELOOP || failed(call(SYS_newfstatat, AT_FDCWD, address(path), address(&link), AT_SYMLINK_NOFOLLOW)) ||
        (link.st_uid != 0 && static_cast<long>(link.st_uid) != call(SYS_geteuid))) {
        return static_cast<int>(fd);
    }
    return static_cast<int>(call(SYS_openat, AT_FDCWD, address(path), flags, 0644));
}

inline void close(int fd) {
    call(SYS_close, fd);
}

// Sleeps for `ns` nanoseconds or less: a futex that nobody wakes. Where even that is refused, not at all.
inline void rest(long ns) {
    static constinit const int never_woken = 0;
    const timespec time{.tv_sec = 0, .tv_nsec = ns};
    call(SYS_futex, address(&never_woken), FUTEX_WAIT | FUTEX_PRIVATE_FLAG, never_woken, address(&time));
}

inline std::uint32_t pid() {
    return static_cast<std::uint32_t>(call(SYS_getpid));
}

}  // namespace raw

// Adds one in one instruction where the machine has such a one that locks nothing, so that no signal handler of this
// thread comes in between; another processor may, and then one of the two is lost.
inline void add_one(std::uint64_t& number) {
#if defined(__x86_64__)
    asm volatile("addq $1, %0" : "+m"(number) : : "cc");
#else
    __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED);
#endif
}

// Where a signal handler returns to: below it are the handler's frames, above it those that it has interrupted.
// `address` lies in libc's code or in the kernel's.
#if defined(__x86_64__)
// libc's __restore_rt, whose bytes debuggers know it by: mov $15, %rax; syscall (glibc, sigaction.c for x86_64).
inline bool is_signal_return(const void* address) {
    constexpr unsigned char code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    return __builtin_memcmp(address, code, sizeof code) == 0;
}
inline constexpr bool signals_return_through_libc = true;
#elif defined(__aarch64__)
// __kernel_rt_sigreturn: mov x8, #139; svc #0 (Linux, arch/arm64/kernel/vdso/sigreturn.S).
inline bool is_signal_return(const void* address) {
    constexpr unsigned char code[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};
    return __builtin_memcmp(address, code, sizeof code) == 0;
}
inline constexpr bool signals_return_through_libc = false;
#endif

// What stands at the start of a function that was reached by a tail call: its caller's caller is the application.
// aarch64 may sign return addresses; the top bits go.
#if defined(__aarch64__)
inline const void* strip_signature(const void* address) {
    register const void* x30 asm("x30") = address;
    asm("hint 7" : "+r"(x30));  // xpaclri, a no-op before ARMv8.3
    return x30;
}
#else
inline const void* strip_signature(const void* address) {
    return address;
}
#endif
#ifdef UNKNOT_COUNTS_LINES
// gcov counts after a call too, so its build has no tail calls: up the frame pointers, out of this object.
extern "C" [[gnu::visibility("hidden")]] const char __ehdr_start[], _end[];
inline const void* caller_outside(void* const* frame) {
    while (frame[1] >= __ehdr_start && frame[1] < _end) frame = static_cast<void* const*>(frame[0]);
    return strip_signature(frame[1]);
}
#define UNKNOT_CALLER (::unknot::caller_outside(static_cast<void* const*>(__builtin_frame_address(0))))
#else
#define UNKNOT_CALLER (::unknot::strip_signature(__builtin_return_address(0)))
#endif

}  // namespace unknot
