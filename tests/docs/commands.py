#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""commands.py SOURCE BUILD: runs every block of the documents that is marked, in a folder of its own that looks like the
top of the repository with its build in build/release. The marker stands in the line before the block:

    <!-- run -->             bash runs it, and it ends with 0
    <!-- run: exits 1 -->    it ends with that
    <!-- run: says TEXT -->  its output holds the text (may follow `exits N, `)
    <!-- run: hangs -->      it makes no end, and `unknot doctor` calls one of its processes deadlocked
    <!-- run: each -->       every line by itself: understood, whatever it finds

`unknot`, `program` and `server` are found; the libraries too; PID is the id of a protected process."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import documents

LIMIT = 300  # seconds; against hangs, not a measure
DEADLOCKED = 3
NOT_STARTED = {125, 126, 127}


class Place:
    def __init__(self, source, build):
        self.folder = tempfile.mkdtemp(prefix="unknot-docs.")
        for name in os.listdir(source):
            if name not in ("build", ".git"):
                os.symlink(os.path.join(source, name), os.path.join(self.folder, name))
        os.makedirs(os.path.join(self.folder, "build"))
        os.symlink(build, os.path.join(self.folder, "build/release"))
        self.programs = tempfile.mkdtemp(prefix="unknot-docs.")
        for name in ("program", "server"):
            with open(os.path.join(self.programs, name), "w") as file:
                file.write("#!/bin/sh\nexec ls / >/dev/null\n")
            os.chmod(os.path.join(self.programs, name), 0o755)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("UNKNOT_", "LD_", "TCMALLOC_"))}
        self.environment.update(PATH=f"{self.programs}:{build}:" + self.environment["PATH"], LD_LIBRARY_PATH=build)
        self.unknot = os.path.join(build, "unknot")
        # What PID stands for. Its first line says that it has started.
        self.protected = subprocess.Popen(
            ["sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE, start_new_session=True,
            env=dict(self.environment, LD_PRELOAD="libunknot.so libtcmalloc.so.4"))
        self.protected.stdout.readline()

    def end(self):
        self.protected.kill()
        self.protected.wait()
        shutil.rmtree(self.folder)
        shutil.rmtree(self.programs)

    def start(self, text):
        text = re.sub(r"\bPID\b", str(self.protected.pid), text)
        return subprocess.Popen(["bash", "-e", "-c", text], cwd=self.folder, env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def run(self, text):
        """(exit code, output); a code of None: it did not end."""
        with self.start(text) as process:
            try:
                output, _ = process.communicate(timeout=LIMIT)
                return process.returncode, output
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return None, process.communicate()[0]

    def hangs(self, text):
        """What went wrong, or None."""
        seen = set()
        with self.start(text) as process:
            try:
                until = time.monotonic() + LIMIT
                while process.poll() is None and time.monotonic() < until:
                    for pid in session(process.pid):
                        seen.add(pid)
                        if subprocess.run([self.unknot, "doctor", pid], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL).returncode == DEADLOCKED:
                            return None
                return "it does not hang" if process.poll() is not None else "the doctor finds no deadlock"
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                for pid in seen:  # what a JVM that attaches to itself removes when it ends by itself
                    with contextlib.suppress(FileNotFoundError):
                        os.remove(f"/tmp/.java_pid{pid}")


def session(leader):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if int(file.read().rsplit(")", 1)[1].split()[3]) == leader:
                    yield pid
        except OSError:
            pass  # it has ended


def trouble(place, marker, text):
    """What went wrong, or None."""
    if marker == "hangs":
        return place.hangs(text)
    if marker == "each":
        for line in text.splitlines():
            code, output = place.run(line)
            # 2 is also the doctor's "unknown", which is an answer.
            refused = code == 2 and re.search("^unknot: ", output, flags=re.M)
            if code is None or code < 0 or code in NOT_STARTED or refused:
                return f"`{line}` ends with {code}: {output}"
        return None
    wanted = re.fullmatch(r"(?:exits (\d+))?(?:, )?(?:says (.*))?", marker)
    if not wanted:
        return f"the marker `{marker}` is not understood"
    code, output = place.run(text)
    if "cannot be preloaded" in output:  # the loader says so and goes on
        return output
    if code != int(wanted.group(1) or 0):
        return f"it ends with {code}: {output}"
    if wanted.group(2) and wanted.group(2) not in output:
        return f"it does not say {wanted.group(2)!r}: {output}"
    return None


def main():
    source, build = (os.path.realpath(folder) for folder in sys.argv[1:3])
    place = Place(source, build)
    failed = count = 0
    try:
        for marker, text in (("", "false"), ("exits 1", "true"), ("says no", "echo yes"), ("hangs", "true"),
                             ("", "LD_PRELOAD=libno.so /bin/true"), ("each", "true\nno_such_program"),
                             ("each", "unknot doctor --nope"), ("perhaps", "true")):
            if trouble(place, marker, text) is None:
                sys.exit(f"commands: `{marker}` does not see what it looks for")
        for path in documents.documents(source):
            for line, marker, text in documents.blocks(documents.read(source, path)):
                began, count = time.monotonic(), count + 1
                told = trouble(place, marker, text)
                failed += told is not None
                print(f"{path}:{line}: {told or 'as said'} ({time.monotonic() - began:.0f} s)", flush=True)
    finally:
        place.end()
    if count == 0:
        sys.exit("commands: no document has a marked block")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
