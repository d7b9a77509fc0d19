#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every load of a soak at once, for so many minutes, and says whether all of them got on, ended well, and stayed
as large as they were.

    drive.py BUILD_FOLDER [MINUTES] [--only LOAD[,LOAD...]] [--record | --walks | --bare]

--record: docs/soak.json and docs/plots/soak-*.svg are written anew. Without it nothing of the repository changes.
--walks: under libunknot_walks.so in place of libunknot.so.
--bare: without the shim, to see that this soak tells what hangs.
Exits with 0 when every load was good, 1 when one was not, 2 for bad usage.
"""

import argparse
import datetime
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.append(os.path.join(ROOT, "tests/bench"))

import curves
import judge
import loads
import measure
import storms
from measure import say

SAMPLE_EVERY = 5  # seconds
LONGEST_MINUTES = 24 * 60


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = refuse
    parser.add_argument("build")
    parser.add_argument("minutes", nargs="?", default="60")
    parser.add_argument("--only", default="", metavar="LOADS")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--record", action="store_true")
    way.add_argument("--walks", action="store_true")
    way.add_argument("--bare", action="store_true")
    parser.add_argument("--check", action="store_true", help="read the arguments and start nothing")
    arguments = parser.parse_args()
    given = arguments.minutes
    try:
        arguments.minutes = float(given)
    except ValueError:
        arguments.minutes = math.nan
    if not 0.1 <= arguments.minutes <= LONGEST_MINUTES:
        refuse(f"MINUTES is a number from 0.1 to {LONGEST_MINUTES}, not {given}")
    measure.BUILD = os.path.realpath(arguments.build)
    storms.shim = "" if arguments.bare else storms.WALKS if arguments.walks else storms.WHOLE
    every = storms.all_loads()
    names = [name for name in arguments.only.split(",") if name]
    for name in names:
        if name not in [load.name for load in every]:
            refuse(f"no load named {name}; there are {', '.join(load.name for load in every)}")
    return arguments, [load for load in every if not names or load.name in names]


def refuse(text):
    say(f"soak: {text}; nothing was started")
    sys.exit(2)


def refuse_what_cannot_run(picked):
    for load in picked:
        if missing := load.missing():
            refuse(f"{load.name} needs {', '.join(missing)}, which is not there: build the target soak, and run "
                   "scripts/setup bench, or leave it out with --only")


class Soak:
    def __init__(self, picked, minutes, folder, evidence):
        self.minutes, self.folder, self.evidence = minutes, folder, evidence
        self.running, self.over = list(picked), {}  # over: load -> why, None when it ended well
        self.samples = {load.name: [] for load in picked}

    def run(self):
        seconds = max(1, round(self.minutes * 60))
        self.start = time.monotonic()
        for load in self.running:
            load.start(seconds, self.folder)
        next_sample, asked = self.start + min(SAMPLE_EVERY, seconds / 10), False
        while self.running:
            time.sleep(0.5)
            for load in list(self.running):
                try:
                    if (status := load.look()) is not None:
                        self.finish(load, None if status == 0 else ended_badly(status, load))
                except RuntimeError as trouble:
                    self.finish(load, str(trouble))
            now = time.monotonic()
            if not asked and now >= self.start + seconds:
                asked = True
                for load in self.running:
                    load.ask_to_end()
            if now >= next_sample:
                next_sample = now + min(SAMPLE_EVERY, seconds / 10)
                if not asked:
                    self.sample()
                for load in list(self.running):
                    if why := load.trouble():
                        self.keep_evidence(load)
                        self.finish(load, why)

    def finish(self, load, why):
        self.over[load] = why
        self.running.remove(load)
        load.end()
        if why:
            say(f"soak: {time.monotonic() - self.start:.0f} s: {load.name} {why}")

    def keep_evidence(self, load):
        os.makedirs(self.evidence, exist_ok=True)
        path = os.path.join(self.evidence, f"{load.name}-{load.pid()}.txt")
        report = os.path.join(self.evidence, f"{load.name}-{load.pid()}-stacks.txt")
        command = [measure.built("unknot"), "doctor", "--report", report, str(load.pid())]
        said = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        with open(path, "w", encoding="utf-8") as file:
            file.write(said)
        say(f"soak: unknot doctor of {load.name}: {said.partition(chr(10))[0]}" + (f"; all of it is in {path}" if storms.shim else ""))

    def sample(self):
        minutes = round((time.monotonic() - self.start) / 60, 3)
        pages = read_pages([load.pid() for load in self.running if not isinstance(load, storms.Again)])
        for load in self.running:
            one = {"minutes": minutes, **in_ms(load.figures())}
            resident = None if isinstance(load, storms.Again) else resident_kb(load.pid())
            if resident is not None:
                one.update(resident_kb=resident, resident_mib=round(resident / 1024, 2))
            if load.pid() in pages:
                one.update(shim_figures(pages[load.pid()]))
            self.samples[load.name].append(one)


def ended_badly(status, load):
    how = f"killed by signal {-status}" if status < 0 else f"exited {status}"
    return f"{how}: {load.errors()[-300:] or 'without a word'}".replace("\n", " ")


def in_ms(figures):
    return {(name[:-3] + "_ms" if name.endswith("_us") else name): (value / 1000 if name.endswith("_us") else value)
            for name, value in figures.items()}


def read_pages(pids):
    """The statistics pages of these processes, as unknot stat reads them from outside; without those that are gone."""
    if not pids:
        return {}
    said = subprocess.run([measure.built("unknot"), "stat", "--json"] + list(map(str, pids)), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    if not said.strip():
        return {}
    rows = json.loads(said)
    rows = rows if isinstance(rows, list) else rows.get("processes", [rows])
    return {row["pid"]: row for row in rows}


def shim_figures(row):
    counters = row.get("counters") or row["statistics"]["counters"]
    one = {name: counters[name] for name in judge.TOTALS}
    one["waiting"] = counters["deferred"] - counters["drained"]
    one["committed_kb"] = counters["arena_committed"] // 1024
    one["committed_mib"] = round(counters["arena_committed"] / 1048576, 2)
    one["live_kb"] = counters["arena_live_bytes"] // 1024
    return one


def resident_kb(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), None)
    except OSError:
        return None


def record(data, samples):
    samples = {load: curves.thinned(some) for load, some in samples.items()}
    data["plots"] = curves.draw_all(ROOT, samples)
    keep = ("minutes", "resident_kb", "committed_kb", "live_kb", "waiting", "p99_ms", "slowest_ms")
    data["samples"] = {load: {name: [one.get(name) for one in some] for name in keep
                              if any(name in one for one in some)} for load, some in samples.items()}
    text = re.sub(r"\[\s+([-\d.,\snul]+?)\s+\]", lambda series: f"[{' '.join(series[1].split())}]",
                  json.dumps(data, indent=1))  # a series a line
    with open(os.path.join(ROOT, "docs/soak.json"), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def main():
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))  # so that loads and folders are cleared away
    arguments, picked = read_arguments()
    if arguments.check:
        return 0
    refuse_what_cannot_run(picked)
    say(f"soak: {len(picked)} loads for {arguments.minutes:g} minutes: {', '.join(load.name for load in picked)}")
    with tempfile.TemporaryDirectory(prefix="unknot-soak-", ignore_cleanup_errors=True) as folder:
        # What hangs without the shim is no news.
        evidence = os.path.join(folder if arguments.bare else measure.BUILD, "soak-evidence")
        soak = Soak(picked, arguments.minutes, folder, evidence)
        try:
            soak.run()
            results = {load.name: judge.result(load, soak.samples[load.name], soak.over[load], arguments.minutes,
                                               storms.shim == storms.WHOLE)
                       for load in picked}
        except KeyboardInterrupt:
            say("soak: interrupted")
            return 130
        finally:
            for load in picked:
                load.end()
    print("\n".join([judge.table(results), ""] + judge.latencies(results)))
    if arguments.minutes < judge.JUDGED_FROM_MINUTES:
        print(f"Whether memory is flat is judged in runs of {judge.JUDGED_FROM_MINUTES} minutes and more.")
    if arguments.record:
        record({"date": datetime.date.today().isoformat(), "machine": loads.machine(), "minutes": arguments.minutes,
                "library": loads.fingerprint(), "loads": results}, soak.samples)
    return 0 if all(one["verdict"] == "good" for one in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
