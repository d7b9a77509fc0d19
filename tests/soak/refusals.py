#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A healthy JVM over tcmalloc that measures its own latency, alone and while it is asked to be rescued again and again,
in turns. Every rescue has to find nothing to do.

    refusals.py BUILD_FOLDER [TURNS]

Ten turns of five seconds each way if nothing is given. Prints for both the median over the turns of the median, the 99th
percentile and the largest excess of a sleep of 200 us, in microseconds. A machine that is otherwise idle, or the figures
say nothing. Exits with 0 when every rescue found nothing to do and the JVM lived, 1 when not, 2 for bad usage.
"""

import os
import statistics
import subprocess
import sys
import time

WINDOW_S, ASKED_EVERY_S = 5, 0.3
NOTHING_TO_DO = 1


def main():
    if len(sys.argv) not in (2, 3) or not all(word.isdigit() and int(word) > 0 for word in sys.argv[2:]):
        print(__doc__, file=sys.stderr)
        return 2
    build, turns = sys.argv[1], int((sys.argv[2:] or [10])[0])
    environment = dict(os.environ, LD_PRELOAD="libtcmalloc.so.4")
    environment.pop("TCMALLOC_STACKTRACE_METHOD", None)
    jvm = subprocess.Popen(["java", "-XX:-UsePerfData", "-cp", build, "Ticks"], env=environment, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    alone, asked, wrong, times = [], [], [], 0

    def told():
        jvm.stdin.write("\n")
        jvm.stdin.flush()
        return [int(word) for word in jvm.stdout.readline().split()]

    try:
        time.sleep(WINDOW_S)  # compiled by then
        for _ in range(turns):
            told()
            time.sleep(WINDOW_S)
            alone.append(told())
            until = time.monotonic() + WINDOW_S
            while time.monotonic() < until:
                done = subprocess.run([os.path.join(build, "unknot"), "rescue", str(jvm.pid)], stdin=subprocess.DEVNULL,
                                      text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                times += 1
                if done.returncode != NOTHING_TO_DO:
                    wrong.append(done.stdout)
                time.sleep(ASKED_EVERY_S)
            asked.append(told())
        alive = jvm.poll() is None
    finally:
        jvm.kill()
        jvm.wait()
    for name, rows in (("alone", alone), (f"asked {times} times", asked)):
        sleeps, median, high, largest = (statistics.median(column) for column in zip(*rows))
        print(f"{name}: {sleeps:.0f} sleeps a turn, over 200 us by {median:.0f} us (median), {high:.0f} us (99 %), "
              f"{largest:.0f} us (largest)")
    for text in wrong:
        print(f"it was not left alone: {text}")
    return 0 if alive and not wrong else 1


sys.exit(main())
