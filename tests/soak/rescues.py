#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""JVMs that hang when an agent is attached, without the shim, and are rescued: one after the other, so many times.

    rescues.py BUILD_FOLDER [TIMES]

Each has to hang (or the run says nothing), to be brought back, to do all of its work and to exit with 0. Exits with 0
when all of them did, 1 when one did not, 2 for bad usage. Prints a line for each.
"""

import os
import re
import subprocess
import sys
import time

HANGS_WITHIN = 120  # seconds for a start and an attach on a busy machine
ENDS_WITHIN = 180   # for what is left to do after the rescue
AGENT_ROUNDS = 10


def start(build):
    environment = dict(os.environ, LD_PRELOAD="libtcmalloc.so.4")
    environment.pop("TCMALLOC_STACKTRACE_METHOD", None)
    return subprocess.Popen(
        ["java", "-XX:-UsePerfData", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null",
         "-Djdk.attach.allowAttachSelf=true", "-cp", build, "NativeGrowth", os.path.join(build, "libsymbol_agent.so"),
         str(AGENT_ROUNDS)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def unknot(build, *arguments):
    return subprocess.run([os.path.join(build, "unknot"), *arguments], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def one(build):
    """What went wrong, or None; and what the rescue said."""
    jvm = start(build)
    said = ""
    try:
        until = time.monotonic() + HANGS_WITHIN
        while unknot(build, "doctor", str(jvm.pid)).returncode != 3:
            if jvm.poll() is not None:
                return f"it ended with {jvm.returncode} instead of hanging", said
            if time.monotonic() > until:
                return "it neither hung nor ended", said
            time.sleep(0.2)
        rescue = unknot(build, "rescue", str(jvm.pid))
        said = rescue.stdout
        if rescue.returncode != 0:
            return f"rescue exited with {rescue.returncode}: {said}", said
        out, _ = jvm.communicate(timeout=ENDS_WITHIN)
        if jvm.returncode != 0 or "java: done" not in out or f"round {AGENT_ROUNDS} of {AGENT_ROUNDS}" not in out:
            return f"rescued, then it ended with {jvm.returncode}: {out}", said
        return None, said
    except subprocess.TimeoutExpired:
        return "rescued, and yet it has not ended: " + unknot(build, "doctor", str(jvm.pid)).stdout, said
    finally:
        jvm.kill()
        jvm.wait()
        jvm.stdout.close()
        for name in (f"/tmp/.java_pid{jvm.pid}", f"/tmp/.attach_pid{jvm.pid}"):
            if os.path.exists(name):
                os.remove(name)


def main():
    times = sys.argv[2] if len(sys.argv) > 2 else "100"
    if not 2 <= len(sys.argv) <= 3 or not times.isdigit() or int(times) < 1:
        print("rescues: usage: rescues.py BUILD_FOLDER [TIMES], TIMES from 1; nothing was started", file=sys.stderr)
        return 2
    build, good, stood = os.path.realpath(sys.argv[1]), 0, []
    for number in range(1, int(times) + 1):
        trouble, said = one(build)
        good += trouble is None
        at_a_time = [float(ms) for ms in re.findall(r"(?:stood for|in all,) ([\d.]+)(?: ms\n| at most)", said)]
        stood += at_a_time
        print(f"{number}: {trouble or 'hung, rescued, ended well'}; stood {max(at_a_time, default=0)} ms at most",
              flush=True)
    stood.sort()
    if stood:
        print(f"threads stood, ms at a time: median {stood[len(stood) // 2]}, most {stood[-1]}")
    print(f"{good} of {times} hung and were rescued")
    return 0 if good == int(times) else 1


if __name__ == "__main__":
    sys.exit(main())
