#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every benchmark against the programs of one build folder and writes bench.json, the plots and the tables of
docs/measurements.md.

    drive.py BUILD_FOLDER [--quick] [--only PART[,PART...]]

--quick: a look in three minutes; prints, and leaves the repository's figures alone. --only: these parts anew, the
others as they stand in docs/bench.json.
"""

import argparse
import datetime
import json
import os
import signal
import sys
import time

import loads
import measure
import plots
import real_loads
import report
import throws

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))

# part: (thorough, quick)
PARTS = {
    "counts": (lambda: loads.instruction_counts(False), lambda: loads.instruction_counts(True)),
    "micro": (lambda: loads.micro(45, 0.012), lambda: loads.micro(5, 0.01)),
    "arena": (lambda: loads.arena_pair(9, 0.05), lambda: loads.arena_pair(3, 0.02)),
    "inside": (lambda: loads.inside(9, 7, 3000), lambda: loads.inside(3, 3, 500)),
    "churn": (lambda: loads.churn(9, 3), lambda: loads.churn(2, 1)),
    "loads": (lambda: real_loads.real_loads(15, 7), lambda: real_loads.real_loads(2, 3)),
    "throws": (lambda: throws.throws(7, 150), lambda: throws.throws(2, 50)),
    "threads": (lambda: loads.threads(15, 1_500_000, (1, 2, 4, 8, 16)), lambda: loads.threads(3, 400_000, (1, 2, 16))),
    "storm": (lambda: loads.storms(7, 5, 60), lambda: loads.storms(3, 3, 20)),
    "start_up": (lambda: loads.start_up(150), lambda: loads.start_up(30)),
    "resident": (lambda: loads.resident(7), lambda: loads.resident(3)),
    "stall": (lambda: loads.stall(5, 1000), lambda: loads.stall(1, 1000)),
    "walk_memory": (lambda: loads.walk_memory(60), lambda: loads.walk_memory(6)),
    "peers": (lambda: loads.peers(7, 0.03, 1), lambda: loads.peers(2, 0.01, 1)),
    "whole": (lambda: loads.whole_programs(5, 2), lambda: loads.whole_programs(2, 1)),
}


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", metavar="PARTS", help="of " + ", ".join(PARTS))
    arguments = parser.parse_args()
    only = [part for part in arguments.only.split(",") if part]
    for part in only:
        if part not in PARTS:
            parser.error(f"no part named {part}; there are {', '.join(PARTS)}; nothing was measured")
    return arguments, only or list(PARTS)


def recorded(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def record(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")


def print_goals(rows):
    for row in rows:
        measured = "not measured" if row["measured"] is None else f"{row['measured']:g} {row['unit']}"
        print(f"{'met' if row['met'] else 'NOT MET':8}{row['goal']}: {measured} ({row['limit']})")


def main():
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))  # so that folders and servers are cleared away
    arguments, parts = read_arguments()
    measure.BUILD = os.path.realpath(arguments.build)
    path = os.path.join(ROOT, "docs/bench.json")
    start = time.monotonic()
    data = {} if len(parts) == len(PARTS) else recorded(path)
    data["date"] = datetime.date.today().isoformat()
    data["machine"] = loads.machine()
    for part in parts:
        began = time.monotonic()
        data[part] = PARTS[part][arguments.quick]()
        data.setdefault("library", {})[part] = loads.fingerprint()
        measure.say(f"bench: {part} took {time.monotonic() - began:.0f} s")
        if not arguments.quick:
            record(path, data)  # a later part that fails takes nothing away
    data["goals"] = report.goals(data)
    print_goals(data["goals"])
    measure.say(f"bench: {time.monotonic() - start:.0f} s in all")
    if arguments.quick:
        print(report.document_text(data))
        return 0
    data["plots"] = plots.draw_all(ROOT, data)
    record(path, data)
    for complaint in report.rewrite(ROOT, data):
        measure.say(complaint)
    return 0


if __name__ == "__main__":
    sys.exit(main())
