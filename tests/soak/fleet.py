#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host full of processes with the shim, half of them starting and ending all the time, one without it made to hang
every minute, and `unknot watch` beside them.

    fleet.py BUILD_FOLDER [MINUTES] [--processes N] [--interval SECONDS] [--victim-every SECONDS]

60 minutes, 500 processes, an interval of 15 s, a victim every 60 s if nothing is given. Every victim has to be found
within two intervals of its standstill and no other process of this run may be called dead; the memory of the watcher has
to be flat (the mean of the last third of the run against that of the middle one: 5 % and 1 MiB). Prints what watching
cost. Exits with 0 when all of that was so, 1 when it was not, 2 for bad usage.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request

SHORTEST, LONGEST = 2, 30        # seconds that one of the restless half lives
HANGS_WITHIN = 120               # seconds for a victim to come to a stop on a busy machine
MOVES_TICKS, MOVES_WITHIN = 5, 1  # one that uses less CPU time than that in a second stands still
SCRAPE_EVERY = 15
FLAT_RATIO, FLAT_SLACK = 1.05, 1 << 20
JUDGED_FROM_ROUNDS = 12          # below, the thirds of the run are no curve


def say(text):
    print(f"fleet: {text}", flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("minutes", nargs="?", type=float, default=60)
    parser.add_argument("--processes", type=int, default=500, metavar="N")
    parser.add_argument("--interval", type=float, default=15, metavar="SECONDS")
    parser.add_argument("--victim-every", type=float, default=60, metavar="SECONDS")
    arguments = parser.parse_args()
    if not 0.1 <= arguments.minutes <= 24 * 60 or not 2 <= arguments.processes <= 20000:
        parser.error("MINUTES is 0.1 to 1440, N is 2 to 20000")
    arguments.build = os.path.realpath(arguments.build)
    for name in ("unknot", "libunknot.so", "cli_idle", "cli_checked_deadlock"):
        if not os.path.exists(os.path.join(arguments.build, name)):
            parser.error(f"{name} is not in {arguments.build}: build the target soak")
    return arguments


def cpu_ticks(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, IndexError):
        return 0


class Watcher:
    """`unknot watch`, its lines with the time at which they came."""

    def __init__(self, build, interval):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [os.path.join(build, "unknot"), "watch", "--json", "--listen", f"127.0.0.1:{self.port}", "--interval",
             str(interval)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.rounds, self.dead = [], {}
        self.complaints = []
        self.readers = [threading.Thread(target=self.read_out), threading.Thread(target=self.read_err)]
        for reader in self.readers:
            reader.start()

    def read_out(self):
        for line in self.process.stdout:
            event, now = json.loads(line), time.monotonic()
            if event["event"] == "round":
                self.rounds.append((now, event))
            if event["event"] == "deadlocked":
                self.dead.setdefault(event["pid"], now)

    def read_err(self):
        for line in self.process.stderr:
            self.complaints.append(line.rstrip())

    def scrape(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            return len(answer.read())

    def end(self):
        self.process.terminate()
        code = self.process.wait(timeout=120)
        for reader in self.readers:
            reader.join()
        return code


class Victim:
    """Without the shim; it hangs at once."""

    def __init__(self, build):
        environment = dict(os.environ, LD_PRELOAD="libtcmalloc.so.4")
        environment.pop("TCMALLOC_STACKTRACE_METHOD", None)
        self.process = subprocess.Popen([os.path.join(build, "cli_checked_deadlock"), "malloc", "1000000"],
                                        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.started = self.moved = self.looked = time.monotonic()
        self.ticks = 0

    def look(self, now):
        if now - self.looked < MOVES_WITHIN:
            return
        ticks = cpu_ticks(self.pid)
        if ticks - self.ticks >= MOVES_TICKS:
            self.moved = now
        self.looked, self.ticks = now, ticks

    def end(self):
        self.process.kill()
        self.process.wait()


class Fleet:
    def __init__(self, build, count):
        self.build, self.random = build, random.Random(1)
        self.environment = dict(os.environ, LD_PRELOAD=f"{build}/libunknot.so:libtcmalloc.so.4", UNKNOT_MODE="protect")
        self.environment.pop("TCMALLOC_STACKTRACE_METHOD", None)
        self.pids, self.started = set(), 0
        self.settled = [self.start() for _ in range(count - count // 2)]
        self.restless = [(time.monotonic() + self.random.uniform(SHORTEST, LONGEST), self.start())
                         for _ in range(count // 2)]

    def start(self):
        process = subprocess.Popen([os.path.join(self.build, "cli_idle")], env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.pids.add(process.pid)
        self.started += 1
        return process

    def turn_over(self, now):
        for i, (until, process) in enumerate(self.restless):
            if now < until:
                continue
            process.kill()
            process.wait()
            self.restless[i] = (now + self.random.uniform(SHORTEST, LONGEST), self.start())

    def end(self):
        for process in self.settled + [process for _, process in self.restless]:
            process.kill()
            process.wait()


class Run:
    def __init__(self, arguments):
        self.arguments, self.found, self.faults, self.victims = arguments, [], [], set()
        self.bytes_scraped = 0

    def watch_victim(self, victim, now):
        """The victim, while it is to be kept."""
        victim.look(now)
        if victim.process.poll() is not None:
            self.faults.append(f"victim {victim.pid} ended with {victim.process.returncode} instead of hanging")
            return None
        if victim.pid in self.watcher.dead:
            self.found.append(max(0.0, self.watcher.dead[victim.pid] - victim.moved))
            victim.end()
            return None
        if now - victim.moved > 4 * self.arguments.interval + 10:
            self.faults.append(f"victim {victim.pid} stands still for {now - victim.moved:.0f} s and was not found")
            victim.end()
            return None
        if now - victim.started > HANGS_WITHIN + 4 * self.arguments.interval:
            self.faults.append(f"victim {victim.pid} has not hung")
            victim.end()
            return None
        return victim

    def go(self):
        arguments = self.arguments
        fleet = Fleet(arguments.build, arguments.processes)
        self.watcher, victim = Watcher(arguments.build, arguments.interval), None
        try:
            began = time.monotonic()
            next_victim, next_scrape = began + 2 * arguments.interval, began + arguments.interval
            while (now := time.monotonic()) < began + arguments.minutes * 60 or victim is not None:
                fleet.turn_over(now)
                if victim is None and next_victim <= now < began + arguments.minutes * 60:
                    victim = Victim(arguments.build)
                    self.victims.add(victim.pid)
                    next_victim = now + arguments.victim_every
                elif victim is not None:
                    victim = self.watch_victim(victim, now)
                if now >= next_scrape:
                    self.bytes_scraped, next_scrape = self.watcher.scrape(), now + SCRAPE_EVERY
                if self.watcher.process.poll() is not None:
                    self.faults.append(f"the watcher ended with {self.watcher.process.returncode}")
                    break
                time.sleep(0.1)
            self.tell(fleet, time.monotonic() - began)
        finally:
            if victim is not None:
                victim.end()
            code = self.watcher.end()
            fleet.end()
        if code != 0:
            self.faults.append(f"the watcher ended with {code}: {self.watcher.complaints[-3:]}")

    def tell(self, fleet, seconds):
        two = 2 * self.arguments.interval
        rounds = [event for _, event in self.watcher.rounds]
        say(f"{seconds / 60:.1f} min, {self.arguments.processes} processes, {fleet.started} started, {len(rounds)} "
            f"rounds, {self.bytes_scraped} bytes a scrape")
        late = [wait for wait in self.found if wait > two]
        if late:
            self.faults.append(f"{len(late)} of {len(self.found)} victims were found after more than {two:g} s: "
                               f"{[round(wait, 1) for wait in late]}")
        if self.found:
            say(f"{len(self.found)} of {len(self.victims)} victims found, {min(self.found):.1f} to "
                f"{max(self.found):.1f} s after their standstill")
        else:
            self.faults.append("no victim was found")
        if wrong := (set(self.watcher.dead) & fleet.pids) - self.victims:
            self.faults.append(f"called dead and were not: {sorted(wrong)}")
        if len(rounds) < 3:
            self.faults.append("hardly a round took place")
            return
        first, last = self.watcher.rounds[1], self.watcher.rounds[-1]
        cpu = (last[1]["cpu_seconds"] - first[1]["cpu_seconds"]) / (last[0] - first[0])
        took = sorted(event["seconds"] for event in rounds)
        say(f"{100 * cpu:.2f} % of one CPU; a round took {took[len(took) // 2]:.2f} s (median), {took[-1]:.2f} s at most")
        sizes = [event["resident_bytes"] for event in rounds]
        third = len(sizes) // 3
        middle, end = sum(sizes[third:2 * third]) / max(1, third), sum(sizes[-third:]) / max(1, third)
        say(f"resident: {middle / 2**20:.1f} MiB in the middle third, {end / 2**20:.1f} MiB in the last")
        if len(rounds) < JUDGED_FROM_ROUNDS:
            say(f"fewer than {JUDGED_FROM_ROUNDS} rounds: memory is not judged")
        elif end > middle * FLAT_RATIO + FLAT_SLACK:
            self.faults.append("the watcher's memory grows")


def main():
    run = Run(read_arguments())
    run.go()
    for fault in run.faults:
        say(fault)
    say("bad" if run.faults else "good")
    sys.exit(1 if run.faults else 0)


if __name__ == "__main__":
    main()
