# SPDX-License-Identifier: Apache-2.0
"""The loads of a soak: what each runs, under which allocator, and how its output is read."""

import os
import re
import shutil
import time

import measure
from watched import Watched

TCMALLOC = "libtcmalloc.so.4"
# Sampling keeps an allocator unwinding when its heap no longer grows; the figures are those of tests/operations.
SAMPLES = {"TCMALLOC_SAMPLE_PARAMETER": "100000", "MALLOC_CONF": "prof:true,lg_prof_sample:14"}
# A tcmalloc that keeps what it is given back fills up for many minutes, bare too; this one gives it back at once, so
# that a leak has nowhere to hide.
KEEPS_NOTHING = {"TCMALLOC_RELEASE_RATE": "100"}
# What never pauses takes the processor time that is left, so that the latencies of the others can be read.
NICE = 10
FUZZER_THREADS = 3
ATTACH_PAUSE_MS = 2500  # with the attach itself, a thousand in an hour

# name: (library, vendor whose own doors are used too)
FUZZED = {
    "tcmalloc": (TCMALLOC, ""),
    "tcmalloc_minimal": ("libtcmalloc_minimal.so.4", ""),
    "tcmalloc_debug": ("libtcmalloc_debug.so.4", ""),
    "jemalloc": ("libjemalloc.so.2", ""),
    "mimalloc": ("libmimalloc.so.2.0", ""),
    "glibc": ("", ""),
    "tcmalloc-doors": (TCMALLOC, "tcmalloc"),
    "jemalloc-doors": ("libjemalloc.so.2", "jemalloc"),
    "mimalloc-doors": ("libmimalloc.so.2.0", "mimalloc"),
}


# What stands before the allocator; "": nothing, and what deadlocks has to be told so.
WHOLE, WALKS = "libunknot.so", "libunknot_walks.so"
shim = WHOLE


def preload(*libraries):
    return ":".join(([measure.built(shim)] if shim else []) + [library for library in libraries if library])


def progress_line(line):
    """progress loads=12 p99_us=3.5"""
    return measure.key_values(line[len("progress"):]) if line.startswith("progress ") else None


def generation_line(line):
    """generation 3: 13500 operations"""
    found = re.match(r"generation \d+: (\d+) operations$", line)
    return {"operations": float(found[1])} if found else None


def walk_memory_line(line):
    """seconds,walks,resident_kb,committed_kb,reserved_kb"""
    fields = line.split(",")
    return {"walks": float(fields[1])} if len(fields) == 5 and fields[1].isdigit() else None


def growths_line(line):
    """2048 growths, 117 walks"""
    found = re.match(r"(\d+) growths,", line)
    return {"growths": float(found[1])} if found else None


class Load:
    """A program that ends by itself after the seconds that it is given."""

    def __init__(self, name, allocator, arguments, needs, libraries, read_line, variables=None, nice=0):
        self.name, self.allocator, self.arguments, self.needs = name, allocator, arguments, needs
        self.libraries, self.read_line, self.variables, self.nice = libraries, read_line, variables or {}, nice
        self.watched = None

    def missing(self):
        """What is needed and not there."""
        return [need for need in self.needs if not os.path.exists(need) and shutil.which(need) is None] + \
               [file for file in self.libraries if not os.path.isabs(file) and file and measure.library(file) is None]

    def start(self, seconds, folder):
        self.folder = os.path.join(folder, self.name)
        self.watched = self.launch([part.replace("SECONDS", str(seconds)) for part in self.arguments])

    def launch(self, arguments):
        variables = self.variables | {"UNKNOT_MODE": "protect" if shim == WHOLE else "auto"}
        return Watched(arguments, preload(*self.libraries), variables, self.folder, self.read_line, self.nice)

    def pid(self):
        return self.watched.pid

    def look(self):
        """The exit status once it is over, else None. RuntimeError says what else is wrong."""
        return self.watched.look()

    def trouble(self):
        return self.watched.trouble()

    def figures(self):
        return dict(self.watched.figures)

    def report(self):
        return self.watched.report()

    def errors(self):
        return self.watched.errors.strip()

    def ask_to_end(self):
        """At the end of the time."""

    def end(self):
        if self.watched is not None:
            self.watched.end()


class Again(Load):
    """A short program, run again and again: its heap grows from nothing each time. Counts the runs."""

    def start(self, seconds, folder):
        self.until = time.monotonic() + seconds
        self.runs, self.sums = 0, {}
        super().start(seconds, folder)

    def look(self):
        status = self.watched.look()
        if status is None or status != 0:
            return status
        self.runs += 1
        report = self.watched.report()
        if report is None:
            raise RuntimeError(f"run {self.runs} wrote no report at its end")
        for name, value in report.items():
            self.sums[name] = self.sums.get(name, 0) + value
        os.remove(os.path.join(self.folder, str(self.pid())))
        self.watched.end()
        if time.monotonic() >= self.until:
            return 0
        self.watched = self.launch(self.arguments)
        return None

    def figures(self):
        return {"runs": self.runs}

    def report(self):
        return self.sums


class Redis(Load):
    """The server runs under the preload, its clients do not: redis-benchmark, again and again."""

    def start(self, seconds, folder):
        self.socket = os.path.join(folder, "redis.sock")
        self.server_arguments = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "",
                                 "--appendonly", "no"]
        self.folder = os.path.join(folder, self.name)
        self.client, self.rounds, self.latest, self.is_ending = None, 0, {}, False
        self.watched = self.launch(self.server_arguments)

    def look(self):
        status = self.watched.look()
        if status is None and not self.is_ending and os.path.exists(self.socket):
            self.look_after_client()
        return status

    def look_after_client(self):
        if self.client is not None:
            if (status := self.client.look()) is None:
                return
            if status != 0:
                raise RuntimeError(f"redis-benchmark ended with {status}: {self.client.errors.strip()}")
            self.rounds += 1
            self.latest = {name: max(one[name] for one in self.answers) for name in ("p99_us", "slowest_us")}
            self.client.end()
        self.answers = []
        # What is pushed is popped: the data stay as many.
        self.client = Watched(["redis-benchmark", "-s", self.socket, "--csv", "-n", "20000", "-c", "20", "-r", "10000",
                               "-d", "100", "-t", "set,get,lpush,lpop,hset"], "", {}, self.folder, self.read_answer)

    def read_answer(self, line):
        """ "SET","rps","avg","min","p50","p95","p99","max", in ms """
        fields = [field.strip('"') for field in line.split('","')]
        if len(fields) == 8 and fields[0] != "test":
            self.answers.append({"p99_us": float(fields[6]) * 1000, "slowest_us": float(fields[7]) * 1000})
            self.watched.moved = {"": time.monotonic()}
        return None

    # The server sleeps for as long as its client waits for a processor.
    def trouble(self):
        return self.watched.trouble(beside=[self.client.pid] if self.client is not None else [])

    def figures(self):
        return {"rounds": self.rounds, **self.latest}

    def ask_to_end(self):
        self.is_ending = True
        if self.client is not None:
            self.client.end()
            self.client = None
        self.watched.process.terminate()

    def end(self):
        if self.watched is not None and self.client is not None:
            self.client.end()
            self.client = None
        super().end()


def all_loads():
    built = measure.built
    loads = []
    for number, (name, (library, vendor)) in enumerate(FUZZED.items(), 1):
        if vendor and shim != WHOLE:  # its doors stand behind the whole shim alone
            continue
        # jemalloc has no pvalloc, and libc's is no good beside it: the whole shim's is.
        without = {"UNKNOT_WITHOUT_DOORS": "pvalloc"} if name == "jemalloc" and shim != WHOLE else {}
        doors = built(f"libunknot_{vendor}.so") if vendor else ""
        loads.append(Load(f"fuzz-{name}", library or "glibc",
                          [built("operations"), str(number), "SECONDS", str(FUZZER_THREADS),
                           "vendor" if vendor else "standard"], [built("operations")] + [doors] * bool(doors),
                          [doors, library], generation_line, SAMPLES | KEEPS_NOTHING | without, NICE))
    loads += [
        Load("walks", TCMALLOC, [built("walk_memory"), "SECONDS", "1"], [built("walk_memory")], [TCMALLOC],
             walk_memory_line, nice=NICE),
        Load("dlopen", TCMALLOC, [built("dlopen_storm"), "SECONDS"], [built("dlopen_storm")], [TCMALLOC],
             progress_line, SAMPLES),
        # Not sampled: libunwind's own lock may be owned for ever in a child.
        Load("fork", TCMALLOC, [built("fork_storm"), "SECONDS"], [built("fork_storm")], [TCMALLOC], progress_line,
             nice=NICE),
        Again("reproducer", TCMALLOC, [built("phdr_deadlock"), "malloc", "16384"], [built("phdr_deadlock")],
              [TCMALLOC], growths_line, nice=NICE),
        # A small heap of pages that are there from the start: what grows is not Java's.
        Load("jvm", TCMALLOC, ["java", "-XX:-UsePerfData", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null",
                               "-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC",
                               "-Djdk.attach.allowAttachSelf=true", "-cp", measure.BUILD, "AttachStorm", "SECONDS",
                               str(ATTACH_PAUSE_MS), built("libsymbol_agent.so")],
             ["java", built("libsymbol_agent.so"), built("AttachStorm.class")], [TCMALLOC], progress_line, SAMPLES),
        Redis("redis", TCMALLOC, [], ["redis-server", "redis-benchmark", built("walking_preload.so")],
              [TCMALLOC, built("walking_preload.so")], lambda line: None, SAMPLES),
    ]
    return loads
