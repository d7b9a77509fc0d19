# SPDX-License-Identifier: Apache-2.0
"""One child process: started in a group of its own, read without blocking, told dead from slow by its progress, and
ended by its own id.

A load hangs when none of its counters has moved for HANG_AFTER and it slept all the while (every thread, and next to no
CPU time: the rule of tests/process). A load of which one counter has stood still for STUCK_AFTER has a thread that
hangs while the others go on.
"""

import ctypes
import glob
import os
import re
import signal
import subprocess
import time

import measure

HANG_AFTER, STUCK_AFTER = 60, 300  # seconds
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def vital_signs(pid):
    """CPU seconds so far, and whether any thread is awake; descendants count."""
    cpu, awake = 0.0, False
    try:
        fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        cpu = sum(map(int, fields[11:15])) / TICKS
    except (OSError, IndexError):
        return 0.0, False
    for task in glob.glob(f"/proc/{pid}/task/*"):
        try:
            awake = awake or read(f"{task}/stat").rpartition(")")[2].split()[0] in "RD"
            for child in read(f"{task}/children").split():
                its_cpu, its_awake = vital_signs(child)
                cpu, awake = cpu + its_cpu, awake or its_awake
        except (OSError, IndexError):
            continue  # ended while we looked
    return cpu, awake


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Watched:
    """`read_line` turns a line of its output into figures: counters, which have to grow, and latencies (*_us)."""

    def __init__(self, arguments, preload, variables, log_folder, read_line, nice=0):
        def prepare():
            os.nice(nice)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # so that nothing outlives us, however we end

        self.log_folder = log_folder
        os.makedirs(log_folder, exist_ok=True)
        environment = measure.environment(preload, UNKNOT_REPORT="exit",
                                          UNKNOT_LOG=os.path.join(log_folder, "%p"), **variables)
        self.process = subprocess.Popen(arguments, env=environment, cwd=log_folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                                        preexec_fn=prepare)
        for stream in (self.process.stdout, self.process.stderr):
            os.set_blocking(stream.fileno(), False)
        self.pid = self.process.pid
        self.read_line = read_line
        self.rest, self.errors = "", ""
        self.figures = {}
        now = time.monotonic()
        self.moved = {"": now}  # when each counter last did; "": any of them
        self.asleep_since, self.cpu_then = now, 0.0

    def look(self):
        """Reads what it has written. Its exit status once it has ended, else None."""
        status = self.process.poll()
        now = time.monotonic()
        for line in self.lines():
            for name, value in (self.read_line(line) or {}).items():
                if not name.endswith("_us") and value > self.figures.get(name, 0):
                    self.moved[name] = self.moved[""] = now
                self.figures[name] = value
        return status

    def lines(self):
        self.errors = (self.errors + self.take(self.process.stderr))[-2000:]
        *complete, self.rest = (self.rest + self.take(self.process.stdout)).split("\n")
        return complete

    @staticmethod
    def take(stream):
        text = b""
        while chunk := stream.read(65536):  # None: nothing yet; empty: closed
            text += chunk
        return text.decode(errors="replace")

    def trouble(self, beside=()):
        """Why it counts as hung; None while it does not. To be asked every few seconds. `beside`: the ids of processes
        that it may be waiting for."""
        now = time.monotonic()
        signs = [vital_signs(pid) for pid in (self.pid, *beside)]
        cpu, awake = sum(one for one, _ in signs), any(one for _, one in signs)
        quiet = now - self.moved[""]
        # A timer's signals cost a hung process some CPU time too.
        if awake or quiet < HANG_AFTER / 4 or cpu - self.cpu_then > 0.1 + 0.02 * (now - self.asleep_since):
            self.asleep_since, self.cpu_then = now, cpu
        if quiet >= HANG_AFTER and now - self.asleep_since >= HANG_AFTER / 2:
            return f"hung: no progress for {quiet:.0f} s, asleep for the last {now - self.asleep_since:.0f}"
        for name, when in self.moved.items():
            if now - when >= STUCK_AFTER:
                return f"stuck: {name or 'nothing'} has not moved for {now - when:.0f} s"
        return None

    def report(self):
        """The counters of the report that its shim wrote when it ended; None when it wrote none."""
        try:
            lines = re.findall(rf"unknot\[{self.pid}\]: report (.*)", read(os.path.join(self.log_folder, str(self.pid))))
        except OSError:
            return None
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", lines[-1])} if lines else None

    def end(self):
        """Kills what is left of it, and removes what a JVM leaves."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        for name in (f"/tmp/.java_pid{self.pid}", f"/tmp/.attach_pid{self.pid}"):
            if os.path.exists(name):
                os.remove(name)
