#!/usr/bin/env python3
"""table.py RESULTS LEFT_OUT SYSTEM...: what `inside` has left of every system, as a Markdown table. A cell tells what
passed; what failed or was not run stands in it too, and below the table with its name and reason. Ends with 1 where a
test failed or a system has no result."""

import collections
import fnmatch
import json
import pathlib
import re
import sys

OUTCOME = re.compile(
    r"^ *\d+/\d+ Test +#\d+: (.+?) \.*(?:\.| ) *(?:\*\*\*)?(Passed|Failed|Skipped|Not Run|Timeout|Exception)"
)
ENTRY = re.compile(r"^\d+/\d+ Testing: (.*)$", re.M)


def group_of(test):
    folder = next((p["value"] for p in test.get("properties", []) if p["name"] == "WORKING_DIRECTORY"), "")
    parts = pathlib.PurePath(folder).parts
    return parts[parts.index("tests") + 1] if "tests" in parts else "?"


def skip_reasons(log):
    """Name of a test -> what it said when it skipped itself."""
    pieces = ENTRY.split(log)
    reasons = {}
    for name, text in zip(pieces[1::2], pieces[2::2]):
        said = re.search(r": Skipped\n(.*)\n", text)
        if said:
            reasons[name] = said.group(1).strip()
    return reasons


def rules_of(path, system):
    for line in path.read_text().splitlines():
        fields = line.split(None, 3)
        if len(fields) == 4 and not line.startswith("#") and fnmatch.fnmatch(system, fields[0]):
            yield fields[1], fields[2], fields[3]


class System:
    def __init__(self, name, folder, rules):
        self.name = name
        self.cells = collections.defaultdict(collections.Counter)
        self.failed = []
        self.reasons = collections.Counter()  # (group, reason) -> tests not run
        self.versions = self.problem = ""
        needed = [folder / part for part in ("tests.json", "ctest", "log", "versions")]
        if not all(part.exists() for part in needed):
            self.problem = last_words(folder)
            return
        self.versions = needed[3].read_text().strip()
        tests = json.loads(needed[0].read_text())["tests"]
        lines = needed[1].read_text(errors="replace").splitlines()
        outcomes = {found.group(1): found.group(2) for found in map(OUTCOME.match, lines) if found}
        reasons = skip_reasons(needed[2].read_text(errors="replace"))
        folders = {name: why for what, name, why in rules if what == "folder"}
        rules = [(re.compile(name), why) for what, name, why in rules if what == "test"]
        for test in tests:
            self.add(test["name"], group_of(test), outcomes.get(test["name"]), reasons, rules)
        for name, why in folders.items():
            self.cells[name]["not run"] = "all"
            self.reasons[name, why] = "all"
        configure = (folder / "configure").read_text(errors="replace")
        for what, reason in re.findall(r"^-- left out: (\S+): (.*)$", configure, re.M):
            self.reasons[what, reason] = "all"
            self.cells[what]["not run"] = "all"

    def add(self, name, group, outcome, reasons, rules):
        cell = self.cells[group]
        if outcome == "Passed":
            cell["passed"] += 1
        elif outcome in (None, "Skipped"):
            reason = reasons.get(name) or next((why for rule, why in rules if rule.search(name)), None)
            cell["not run"] += 1
            self.reasons[group, reason or "not asked for"] += 1
        else:
            cell["failed"] += 1
            self.failed.append(f"{name} ({outcome.lower()})")

    def cell(self, group):
        if self.problem:
            return "no result"
        counts = self.cells.get(group)
        if not counts:
            return "not built"
        return ", ".join(f"{counts[what]} {what}" for what in ("passed", "failed", "not run") if counts[what])


def last_words(folder):
    for step in ("ctest", "build", "configure", "enter", "root"):
        path = folder / step
        if path.exists() and path.stat().st_size:
            lines = path.read_text(errors="replace").splitlines()
            errors = [line for line in lines if re.search(r"\berror\b", line, re.I)] or lines
            return f"{step}: {errors[0].strip()}"
    return "its root could not be made"


def main():
    results, left_out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    systems = [System(name, results / name, list(rules_of(left_out, name))) for name in sys.argv[3:]]
    groups = sorted({group for system in systems for group in system.cells})
    print("| system | " + " | ".join(groups) + " |")
    print("| --- |" + " --- |" * len(groups))
    for system in systems:
        print(f"| {system.name} | " + " | ".join(system.cell(group) for group in groups) + " |")
    for system in systems:
        print(f"\n{system.name}: {system.problem or system.versions}")
        for (group, reason), count in sorted(system.reasons.items()):
            print(f"- not run: {count} of {group}: {reason}")
        for name in system.failed:
            print(f"- failed: {name}")
    sys.exit(any(system.problem or system.failed for system in systems))


main()
