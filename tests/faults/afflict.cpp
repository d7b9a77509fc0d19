// SPDX-License-Identifier: Apache-2.0
// afflict FAULT... -- [NAME=VALUE...] PROGRAM [ARGUMENT...]: becomes the program in a process that lacks something.
// The variables are set for the program alone, so LD_PRELOAD does not reach this launcher. Exits with 77, and a line
// that says why, where this machine or user does not allow the fault to be made.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr uid_t nobody = 65534;

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "afflict: %s: %s\n", what, std::strerror(errno));
    std::exit(errno == EPERM || errno == ENOSYS ? 77 : 70);
}

void check(bool done, const char* what) {
    if (!done) give_up(what);
}

void limit(__rlimit_resource resource, const std::string& value) {
    const rlim_t most = std::stoul(value);
    const rlimit limits{most, most};
    check(setrlimit(resource, &limits) == 0, "setrlimit");
}

// The call is answered with EPERM, as container filters do.
void forbid(long call) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{sizeof filter / sizeof *filter, filter};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
}

void forbid(const std::string& name) {
    if (name == "process_vm_readv") return forbid(SYS_process_vm_readv);
    if (name == "sigaltstack") return forbid(SYS_sigaltstack);
    if (name == "prlimit64") return forbid(SYS_prlimit64);
    if (name == "fstat") return forbid(SYS_fstat);
    std::fprintf(stderr, "afflict: no such call: %s\n", name.c_str());
    std::exit(70);
}

// An empty file system that cannot be written to lies over the folder, in this process and its children alone.
void cover(const std::string& folder) {
    check(unshare(CLONE_NEWNS) == 0, "unshare");
    check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount --make-rprivate /");
    check(mount("none", folder.c_str(), "tmpfs", MS_RDONLY, nullptr) == 0, "mount");
}

// A pipe that nobody reads.
void break_pipe(int fd) {
    int ends[2];
    check(pipe(ends) == 0 && dup2(ends[1], fd) == fd, "pipe");
    close(ends[0]);
    close(ends[1]);
}

// The kernel asks for secure execution where the effective and the real user differ.
void run_as_if_setuid() {
    check(setresuid(nobody, 0, 0) == 0, "setresuid");
}

void drop_privileges() {
    check(setresgid(nobody, nobody, nobody) == 0 && setresuid(nobody, nobody, nobody) == 0, "setresuid");
}

// 1 MiB of variables.
void fill_environment() {
    const std::string value(1000, 'x');
    for (int i = 0; i < 1024; ++i) setenv(("FILLED_" + std::to_string(i)).c_str(), value.c_str(), 1);
}

void afflict(std::string_view fault) {
    const std::size_t equals = fault.find('=');
    const std::string_view what = fault.substr(0, equals);
    const std::string how(equals == std::string_view::npos ? "" : fault.substr(equals + 1));
    if (what == "address-space") return limit(RLIMIT_AS, how);
    if (what == "descriptors") return limit(RLIMIT_NOFILE, how);
    if (what == "file-size") return limit(RLIMIT_FSIZE, how);
    if (what == "locked-memory") return limit(RLIMIT_MEMLOCK, how);
    if (what == "stack") return limit(RLIMIT_STACK, how);
    if (what == "forbidden") return forbid(how);
    if (what == "covered") return cover(how);
    if (what == "closed") {
        close(std::stoi(how));
        return;
    }
    if (what == "broken-pipe") return break_pipe(std::stoi(how));
    if (what == "folder") return check(chdir(how.c_str()) == 0, "chdir");
    if (what == "secure-execution") return run_as_if_setuid();
    if (what == "unprivileged") return drop_privileges();
    if (what == "empty-environment") return check(clearenv() == 0, "clearenv");
    if (what == "huge-environment") return fill_environment();
    std::fprintf(stderr, "afflict: no such fault: %s\n", std::string(what).c_str());
    std::exit(70);
}

}  // namespace

int main(int argc, char** argv) {
    int at = 1;
    std::vector<std::string_view> faults;
    for (; at < argc && std::strcmp(argv[at], "--") != 0; ++at) faults.emplace_back(argv[at]);
    ++at;
    // The variables come last, but a fault may take away what setting them needs.
    for (const std::string_view fault : faults) {
        if (fault.ends_with("-environment")) afflict(fault);
    }
    for (; at < argc && std::strchr(argv[at], '=') != nullptr; ++at) putenv(argv[at]);
    if (at >= argc) {
        std::fputs("usage: afflict FAULT... -- [NAME=VALUE...] PROGRAM [ARGUMENT...]\n", stderr);
        return 70;
    }
    for (const std::string_view fault : faults) {
        if (!fault.ends_with("-environment")) afflict(fault);
    }
    execv(argv[at], argv + at);
    give_up(argv[at]);
}
