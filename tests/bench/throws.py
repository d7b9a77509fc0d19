# SPDX-License-Identifier: Apache-2.0
"""What the loader's lock costs who unwinds: C++ throws and libunwind's traces by threads, and by loaded libraries.

Here, and in a root of scripts/matrix with a glibc before 2.35, where a throw walks the loaded objects; from 2.35 on
libgcc asks _dl_find_object instead, which takes no lock."""

import glob
import os
import statistics
import subprocess
import tempfile

from measure import (AGAIN, CACHED, NONE, SHIM, built, interleave, key_values, output_of, say, summary)

ALLOCATOR = "libtcmalloc.so.4"
INTERPOSERS = {NONE: "", AGAIN: "", SHIM: "libunknot.so", CACHED: "libcached_walk.so"}
# Traces go through a lock or a cache of libunwind's own: one thread beside another shows it.
WORKS = {"throw": None, "unw_backtrace": 2, "_Unwind_Backtrace": 2}
LIBRARIES = (10, 100, 300)
OLD_ROOT = os.path.join(os.environ.get("UNKNOT_MATRIX_DIR", "/var/tmp/unknot-matrix"), "debian11")
TESTS = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))


class Here:
    """This system, with the programs of the build folder."""

    def __init__(self):
        self.name = os.confstr("CS_GNU_LIBC_VERSION")
        self.build = built("")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        pass

    def run(self, preload_value, arguments):
        return output_of(arguments, preload_value)


class Root:
    """Another system's root, in namespaces of its own, with the programs that tests/bench/inside_root builds there."""

    def __init__(self, root):
        self.root = root

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="unknot-bench-")
        log = os.path.join(self.folder.name, "log")
        with open(log, "w", encoding="utf-8") as said:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                                            text=True)
        first = self.process.stdout.readline().split(maxsplit=1)
        if len(first) != 2:
            with open(log, encoding="utf-8") as said:
                complaint = said.read()[-400:]
            self.__exit__()
            raise RuntimeError(f"{self.root}: {complaint}")
        self.build, self.name = first[0], first[1].strip()
        return self

    def command(self):
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        # Of its folders none but the source is used.
        return unshare + [os.path.join(TESTS, "matrix/enter"), self.root, os.path.dirname(TESTS), self.folder.name,
                          self.folder.name, "amd64", os.path.join(TESTS, "bench/inside_root")]

    def __exit__(self, *unused):
        self.process.kill()  # and all that it has started, by --kill-child
        self.process.wait()
        self.folder.cleanup()

    def run(self, preload_value, arguments):
        print(preload_value or "-", *arguments, file=self.process.stdin, flush=True)
        lines = []
        for line in self.process.stdout:
            if line.startswith("ended "):
                if line.split()[1] != "0":
                    break
                return "".join(lines)
            lines.append(line)
        raise RuntimeError(f"{self.root}: {arguments} with LD_PRELOAD={preload_value or 'nothing'} failed")


def figures_of(system, variant, program, *arguments):
    interposer = INTERPOSERS[variant]
    parts = [os.path.join(system.build, interposer)] if interposer else []
    command = [os.path.join(system.build, program), *map(str, arguments)]
    return key_values(system.run(":".join(parts + [ALLOCATOR]), command))


def by_threads(system, work, rounds, length_ms, counts):
    """How many a second, of all threads together; and for each thread, over one thread alone."""
    say(f"bench: {system.name}, {work} by threads")
    variants = [NONE, SHIM, AGAIN] + ([CACHED] if work == "throw" else [])
    samples = interleave(variants, rounds, lambda variant: figures_of(system, variant, "unwinding_threads", work,
                                                                     length_ms, *counts))
    alone = samples[f"at_{counts[0]}"]
    result = {}
    for count in counts:
        together = samples[f"at_{count}"]
        result[str(count)] = summary(together)
        result[str(count)]["each/alone"] = {
            variant: round(statistics.median(n / count / one for n, one in zip(together[variant], alone[variant])), 4)
            for variant in variants}
    return result


def by_libraries(system, rounds, turns):
    result = {}
    for libraries in LIBRARIES:
        say(f"bench: {system.name}, walks over {libraries} libraries")
        samples = interleave([NONE, SHIM, AGAIN], rounds, lambda variant: figures_of(
            system, variant, "unwinding_libraries", os.path.join(system.build, "libone_of_many.so"), libraries, turns,
            5000))
        present = samples.pop("libraries")  # a process has more than ten before the first copy
        result[f"{present[NONE][0]:.0f}"] = {figure: summary(by_variant) for figure, by_variant in samples.items()}
    return result


def in_system(system, rounds, length_ms):
    counts = [count for count in (1, 2, 4, 8, 16) if count <= os.cpu_count()]
    threads = {work: by_threads(system, work, rounds, length_ms, [n for n in counts if most is None or n <= most])
               for work, most in WORKS.items()}
    return {"threads": threads, "libraries": by_libraries(system, rounds, 5)}


def old_root():
    """A root of scripts/matrix with what the programs need; None if there is none, or if we are not root."""
    if os.geteuid() != 0:
        return None
    usable = [root for root in sorted(glob.glob(OLD_ROOT + "*"))
              if glob.glob(f"{root}/usr/bin/g++") and glob.glob(f"{root}/usr/lib/*/{ALLOCATOR}")]
    return usable[0] if usable else None


def throws(rounds, length_ms):
    """By libc: how many a second, and ns."""
    with Here() as system:
        result = {system.name: in_system(system, rounds, length_ms)}
    root = old_root()
    if root is None:
        result["a glibc before 2.35"] = {"needs": f"{OLD_ROOT}, which scripts/matrix debian11 makes"}
        return result
    say(f"bench: building in {root}")
    with Root(root) as system:
        result[system.name] = in_system(system, rounds, length_ms)
    return result
