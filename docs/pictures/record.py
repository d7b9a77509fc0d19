#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's picture: a JVM to which a profiler is attached, under tcmalloc; it hangs and is rescued, and runs under
the shim. What the programs say is recorded with its time in jvm.json and drawn as jvm.svg.

    record.py BUILD_FOLDER    runs, records and draws
    record.py --draw SVG      draws what is recorded
"""

import datetime
import html
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
RECORDING, PICTURE = os.path.join(HERE, "jvm.json"), os.path.join(HERE, "jvm.svg")
DEADLOCKED = 3  # exit code of unknot doctor
SILENCE = 10    # seconds: for how long it is shown to say nothing more
ALLOCATOR = "libtcmalloc.so.4"


class Run:
    """A JVM whose lines are collected with the second in which they came."""

    def __init__(self, build, preload, shown, **environment):
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("UNKNOT_", "TCMALLOC_"))}
        self.lines = [{"s": 0.0, "kind": "command", "text": f"{shown} java ... NativeGrowth"}]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            ["java", "-XX:-UsePerfData", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null",
             "-Djdk.attach.allowAttachSelf=true", "-cp", build, "NativeGrowth",
             os.path.join(build, "libsymbol_agent.so")],
            env=dict(variables, LD_PRELOAD=preload, **environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.say("out", line)

    def say(self, kind, text):
        self.lines.append({"s": round(time.monotonic() - self.started, 2), "kind": kind, "text": text.rstrip("\n")})

    def silent_for(self):
        return time.monotonic() - self.started - self.lines[-1]["s"]

    def end(self):
        code = self.process.wait()
        self.reader.join()
        if code != 0:
            sys.exit(f"record: the JVM ended with {code}; nothing was recorded")
        return sorted(self.lines, key=lambda line: line["s"])


def unknot(build, *arguments):
    return subprocess.run([os.path.join(build, "unknot"), *arguments], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE)


def hang_and_rescue(build):
    run = Run(build, ALLOCATOR, f"LD_PRELOAD={ALLOCATOR}")
    pid = str(run.process.pid)
    try:
        while unknot(build, "doctor", pid).returncode != DEADLOCKED or run.silent_for() < SILENCE:
            if run.process.poll() is not None:
                sys.exit("record: the JVM did not hang; nothing was recorded")
            time.sleep(0.1)
        run.say("command", "unknot doctor " + pid)
        doctor = unknot(build, "doctor", pid)
        for line in doctor.stdout.splitlines():
            if re.match(r"process |  - thread ", line):
                run.say("unknot", line)
        run.say("command", "unknot rescue " + pid)
        rescue = unknot(build, "rescue", pid)
        for line in rescue.stdout.splitlines():
            if re.match(r"thread .* was sent back|made immune|it ", line):
                run.say("unknot", line)
        if rescue.returncode != 0:
            sys.exit("record: the JVM was not rescued; nothing was recorded")
    finally:
        if run.process.poll() is None and sys.exc_info()[0] is not None:
            run.process.kill()
    return run.end()


def protected(build):
    with tempfile.NamedTemporaryFile("r") as log:
        run = Run(build, os.path.join(build, "libunknot.so") + " " + ALLOCATOR,
                  f'LD_PRELOAD="libunknot.so {ALLOCATOR}" UNKNOT_REPORT=exit', UNKNOT_REPORT="exit", UNKNOT_LOG=log.name)
        lines = run.end()
        report = log.read()
    figures = dict(re.findall(r"\b(diverted|averted)=(\d+)", report))
    lines.append({"s": lines[-1]["s"], "kind": "unknot",
                  "text": "unknot: report: diverted={diverted} averted={averted}".format(**figures)})
    return lines


# --- drawing ---

COLUMNS, ROW, CHARACTER, LEFT, WIDTH = 96, 18, 7.83, 92, 860
# class: (on light, on dark)
COLORS = {"panel": ("#f6f8fa", "#161b22"), "edge": ("#d0d7de", "#30363d"), "text": ("#1f2328", "#e6edf3"),
          "dim": ("#59636e", "#9198a1"), "command": ("#0550ae", "#79c0ff"), "unknot": ("#8250df", "#d2a8ff"),
          "good": ("#1a7f37", "#3fb950"), "bad": ("#cf222e", "#ff7b72")}


def style():
    rules = lambda which: "".join(f".{name}{{fill:{colors[which]}}}" for name, colors in COLORS.items())
    return (f"text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}"
            f".title{{font:600 14px system-ui,'DejaVu Sans',sans-serif}}.foot{{font-size:11px}}{rules(0)}"
            f"@media (prefers-color-scheme: dark){{{rules(1)}}}")


def rows_of(lines):
    """What is drawn: (second or None, class, text). Rounds in the middle are left out; a silence that a question to the
    doctor ended is a row of its own."""
    rows, rounds = [], [line for line in lines if re.match(r"agent: round", line["text"])]
    last_output = None
    for line in lines:
        if line in rounds[2:-1]:
            if line is rounds[2]:
                rows.append((None, "dim", "..."))
            continue
        if line["kind"] == "command" and "doctor" in line["text"]:
            rows.append((None, "bad", f"nothing more for {line['s'] - last_output:.0f} s: it hangs"))
        kind = {"command": "command", "unknot": "unknot"}.get(line["kind"], "text")
        if line["text"] == "java: done":
            kind = "good"
        prefix = "$ " if kind == "command" else ""
        folded = textwrap.wrap(line["text"], COLUMNS - 2, initial_indent=prefix, subsequent_indent="    ")
        for number, part in enumerate(folded):
            rows.append((line["s"] if number == 0 else None, kind, part))
        if line["kind"] == "out":
            last_output = line["s"]
    return rows


def panel(top, title, rows):
    height = ROW * len(rows) + 50
    out = [f'<rect class="edge" x="0.5" y="{top}" width="{WIDTH - 1}" height="{height}" rx="8"/>',
           f'<rect class="panel" x="1.5" y="{top + 1}" width="{WIDTH - 3}" height="{height - 2}" rx="7"/>',
           f'<text class="title text" x="16" y="{top + 25}">{html.escape(title)}</text>']
    y, hung = top + 50, False
    for second, kind, text in rows:
        if kind == "bad":
            hung = True
        elif hung and text.startswith(("agent:", "java:")):
            hung = False
        out.append(f'<rect class="{"bad" if hung else "good"}" x="16" y="{y - 13}" width="4" height="{ROW}"/>')
        if second is not None:
            out.append(f'<text class="dim" x="76" y="{y}" text-anchor="end">{second:.1f} s</text>')
        out.append(f'<text class="{kind}" xml:space="preserve" x="{LEFT}" y="{y}">{html.escape(text)}</text>')
        y += ROW
    return "\n".join(out), top + height


def draw(recording, path):
    first, bottom = panel(1, "Without Unknot: the profiler waits for tcmalloc, tcmalloc for the profiler",
                          rows_of(recording["without"]))
    second, bottom = panel(bottom + 14, "With Unknot", rows_of(recording["with"]))
    bottom += 24
    foot = f"recorded {recording['date']}: {', '.join(recording['versions'])}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" width="{WIDTH}" '
                   f'height="{bottom}" role="img">\n<title>A JVM under tcmalloc hangs when a profiler is attached, and is '
                   f'rescued; with Unknot it runs</title>\n<style>{style()}</style>\n{first}\n{second}\n'
                   f'<text class="foot dim" x="{WIDTH - 8}" y="{bottom - 6}" text-anchor="end">{html.escape(foot)}</text>\n</svg>\n')


def versions():
    asked = subprocess.run(["dpkg-query", "--show", "--showformat=${Package} ${Version}\n", "libc6",
                            "libgoogle-perftools4", "openjdk-17-jre-headless"], stdout=subprocess.PIPE, text=True)
    return asked.stdout.splitlines()


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--draw":
        with open(RECORDING, encoding="utf-8") as file:
            draw(json.load(file), sys.argv[2])
        return
    if len(sys.argv) != 2 or not os.path.exists(os.path.join(sys.argv[1], "libunknot.so")):
        sys.exit("usage: record.py BUILD_FOLDER | --draw SVG; nothing was recorded")
    build = os.path.realpath(sys.argv[1])
    recording = {"date": datetime.date.today().isoformat(), "versions": versions(), "without": hang_and_rescue(build),
                 "with": protected(build)}
    with open(RECORDING, "w", encoding="utf-8") as file:
        json.dump(recording, file, indent=1)
        file.write("\n")
    draw(recording, PICTURE)


if __name__ == "__main__":
    main()
