# SPDX-License-Identifier: Apache-2.0
"""Loads as programs have them, in which the loader's locks are owned for long: a profiler's parse of a JVM's symbols,
the dlopen of large libraries, the start of a server and of an interpreter."""

import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import time

from measure import (AGAIN, NONE, SHIM, Workplace, built, environment, interleave, key_values, library, preload, say,
                     summary)

TURNS = object()  # stands for their number in the arguments of a program
PATIENCE = 60  # seconds, for a server to be ready
# Of a JVM that runs: those that it loads by itself or for its agents and its attach interface.
JVM_LIBRARIES = ("server/libjvm.so libjli.so libjava.so libjimage.so libzip.so libnio.so libnet.so libverify.so "
                 "libmanagement.so libmanagement_ext.so libextnet.so libinstrument.so libattach.so libprefs.so").split()


def ms(seconds):
    return seconds * 1000


class Process:
    """One that runs under a preload, with what it says in a file."""

    def __init__(self, arguments, preload_value, folder, more, **how):
        self.said = os.path.join(folder, "said")
        self.start = time.monotonic()
        with open(self.said, "w", encoding="utf-8") as said:
            self.process = subprocess.Popen(arguments, env=environment(preload_value, **more), cwd=folder,
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, **how)
        self.pid = self.process.pid

    def text(self):
        with open(self.said, encoding="utf-8") as said:
            return said.read()

    def cost(self):
        """Waits for its end. Its own CPU time and that of its children that it has waited for."""
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}: {self.text()[-400:]}")
        return {"cpu_ms": ms(usage.ru_utime + usage.ru_stime), "wall_ms": ms(time.monotonic() - self.start)}


class Prints:
    """A program of ours that prints its figures, of so many turns."""

    def __init__(self, figures, arguments, turns):
        self.figures, self.arguments, self.turns = figures, arguments, turns

    def prepare(self, folder):
        self.folder = folder

    def run(self, preload_value, **more):
        arguments = [str(self.turns) if argument is TURNS else argument for argument in self.arguments]
        process = Process(arguments, preload_value, self.folder, more)
        process.cost()
        # What is said of the report or of a library that cannot be loaded has no place here.
        line = next(line for line in process.text().splitlines() if re.match(r"\w+=", line))
        return key_values(line), process.pid


class Command:
    """A program whose cost is the figure."""

    figures = {"cpu_ms": ", CPU ms", "wall_ms": ", elapsed ms"}

    def __init__(self, arguments):
        self.arguments = arguments

    def prepare(self, folder):
        self.folder = folder

    def run(self, preload_value, **more):
        process = Process(self.arguments, preload_value, self.folder, more)
        return process.cost(), process.pid


class Postgres:
    """A cluster on a socket in a folder: started, and stopped once it is ready."""

    figures = {"cpu_ms": ", CPU ms", "ready_ms": ", elapsed ms until it is ready", "wall_ms": ", elapsed ms in all"}

    def __init__(self, programs):
        self.programs = programs
        self.how = {}

    def prepare(self, folder):
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.shim = shutil.copy(built("libunknot.so"), folder)  # where any user can read it
        if os.geteuid() == 0:  # it refuses root
            user = next(pwd.getpwnam(name) for name in ("postgres", "nobody") if is_user(name))
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.how = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        Process([os.path.join(self.programs, "initdb"), "-D", self.data, "-A", "trust", "--no-sync", "--no-locale"], "",
                folder, {}, **self.how).cost()

    def run(self, preload_value, **more):
        preload_value = preload_value.replace(built("libunknot.so"), self.shim)
        server = Process([os.path.join(self.programs, "postgres"), "-D", self.data, "-k", self.folder, "-F", "-c",
                          "listen_addresses="], preload_value, self.folder, more, **self.how)
        try:
            self.wait_until_ready(server)
            ready = ms(time.monotonic() - server.start)
        finally:
            os.kill(server.pid, signal.SIGINT)  # the fast shutdown
            figures = server.cost()
        return {**figures, "ready_ms": ready}, server.pid

    def wait_until_ready(self, server):
        path = os.path.join(self.data, "postmaster.pid")
        while time.monotonic() - server.start < PATIENCE:
            try:
                with open(path, encoding="utf-8") as file:
                    if file.read().split("\n")[7:8] == ["ready   "]:  # as pg_ctl tells it
                        return
            except FileNotFoundError:
                pass
            if os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.001)
        raise RuntimeError(f"postgres was not ready: {server.text()[-400:]}")


def is_user(name):
    return any(user.pw_name == name for user in pwd.getpwall())


def jvm_libraries():
    java = shutil.which("java")
    folder = os.path.join(os.path.dirname(os.path.realpath(java)), "../lib") if java else ""
    paths = [os.path.join(folder, name) for name in JVM_LIBRARIES]
    return [path for path in paths if os.path.exists(path)] if os.path.exists(paths[0]) else None


def loads(turns):
    """Name: (the package that it needs, the load or None where that is not installed)."""
    jvm = jvm_libraries()
    llvm, icu = library("libLLVM-14.so.1"), library("libicui18n.so.72")
    clusters = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    node = shutil.which("node")
    return {
        "parse of a JVM's symbols in one walk": ("openjdk-17-jdk-headless", jvm and Prints(
            {"first_ms": ", the first time, CPU ms", "again_ms": ", again, CPU ms",
             "free_ms": ", its frees after the walk, CPU ms"},
            [built("symbol_walk"), TURNS] + jvm, turns)),
        # One turn: what is opened again has never been away.
        "dlopen of libLLVM-14.so.1, which stays": ("libllvm14", llvm and Prints(
            {"open_ms": ", CPU ms"}, [built("churn"), llvm, TURNS], 1)),
        "libicui18n.so.72 and its data": ("libicu72", icu and Prints(
            {"open_ms": ", dlopen, CPU ms", "close_ms": ", dlclose, CPU ms"}, [built("churn"), icu, TURNS], turns)),
        "start and stop of a PostgreSQL cluster": ("postgresql", Postgres(clusters[-1]) if clusters else None),
        "node -e 0": ("nodejs", node and Command([node, "-e", "0"])),
    }


def arena_share(load, preload_value, folder):
    """What the arena has served in one turn of the load, in its first process, by its report."""
    load.turns = 1
    _, pid = load.run(preload_value, UNKNOT_REPORT="exit", UNKNOT_LOG=os.path.join(folder, "report.%p"))
    with open(os.path.join(folder, f"report.{pid}"), encoding="utf-8") as file:
        report = dict(word.split("=", 1) for word in file.read().split() if "=" in word)
    if report["mode"] != "protect":
        raise RuntimeError(f"the shim did not protect {load}: mode={report['mode']}")
    return {name: int(report[name]) for name in ("diverted", "diverted_bytes", "over_budget")}


def measured(load, rounds, folder):
    os.makedirs(folder)
    os.chmod(folder, 0o755)
    load.prepare(folder)
    path = library("libtcmalloc.so.4")
    load.run(preload(NONE, path))  # caches warm up before anything counts
    samples = interleave([NONE, SHIM, AGAIN], rounds, lambda variant: load.run(preload(variant, path))[0])
    return {"figures": {label: summary(samples[figure]) for figure, label in load.figures.items()},
            "counts": {name: samples[name][NONE][0] for name in ("symbols", "libraries") if name in samples},
            **arena_share(load, preload(SHIM, path), folder)}


def real_loads(rounds, turns):
    """Milliseconds, and the arena's share; or the package that is missing."""
    result = {}
    with Workplace() as workplace:
        os.chmod(workplace, 0o755)
        for number, (name, (package, load)) in enumerate(loads(turns).items()):
            say(f"bench: {name}")
            result[name] = measured(load, rounds, os.path.join(workplace, str(number))) if load else {"needs": package}
    return result
