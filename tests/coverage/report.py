#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From gcovr's JSON and reasons.json, which says by function why lines of it may stay unrun, to docs/coverage.md.

    report.py COVERAGE.json REASONS.json [DOCUMENT.md]

Fails where shim/ and policy/ together are below the bound, where an unrun line has no reason, and where a reason names a
function that is no longer there. By function and not by line: which side of a race is taken differs from run to run.
"""
import json
import os
import re
import sys

BOUND = 90.0  # per cent of lines, shim/ and policy/ together


def short_name(demangled):
    """`unknot::(anonymous namespace)::Arena::free(void*)` -> `Arena::free`."""
    name = demangled.replace("(anonymous namespace)::", "").replace("unknot::", "")
    name = re.sub(r"\[abi:\w+\]", "", name)
    if "{lambda" in name:
        name = name.split("::{lambda")[0]
    name = name.split("(")[0] if not name.startswith("operator") else re.sub(r"\(.*", "", name)
    return name.split("<")[0].split(" ")[-1].lstrip("*&") if not name.startswith("operator") else name


class File:
    def __init__(self, entry):
        self.name = entry["file"]
        self.lines = {line["line_number"]: line["count"] for line in entry["lines"] if not line["gcovr/noncode"]}
        self.unrun = sorted(number for number, count in self.lines.items() if count == 0)
        starts = sorted((function["lineno"], short_name(function["name"])) for function in entry["functions"])
        self.functions = {name for _, name in starts}
        self.by_function = {}
        for number in self.unrun:
            before = [name for line, name in starts if line <= number]
            self.by_function.setdefault(before[-1] if before else "", []).append(number)

    def percent(self):
        return 100 * (len(self.lines) - len(self.unrun)) / len(self.lines) if self.lines else 100.0


def ranges(numbers):
    """[3, 4, 5, 9] -> "3-5, 9"."""
    groups = []
    for number in numbers:
        if groups and number == groups[-1][1] + 1:
            groups[-1][1] = number
        else:
            groups.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in groups)


def explained(file, reasons):
    """The last column, and what is wrong with it."""
    sentences, wrong = [], []
    for function, numbers in file.by_function.items():
        reason = reasons.get(function)
        if reason is None:
            wrong.append(f"{file.name}:{ranges(numbers)} in {function or 'no function'} is not run, without a reason")
        sentences.append(f"{ranges(numbers)} `{function}`: {reason or 'no reason given'}")
    # One that inlining or a run's luck has covered may keep its reason; one that is gone may not.
    for function in reasons:
        if function not in file.functions:
            wrong.append(f"{file.name} has no function {function}, yet a reason for it")
    return "; ".join(sentences), wrong


def main():
    with open(sys.argv[1]) as source, open(sys.argv[2]) as text:
        files = sorted((File(entry) for entry in json.load(source)["files"]), key=lambda file: file.name)
        reasons = json.load(text)
    files = [file for file in files if file.lines]
    wrong = [f"{name} has reasons, and no lines" for name in reasons if name not in {file.name for file in files}]
    rows = []
    for file in files:
        why, trouble = explained(file, reasons.get(file.name, {}))
        wrong += trouble
        rows.append((file.name, len(file.lines), file.percent(), why))
    lines = sum(len(file.lines) for file in files)
    unrun = sum(len(file.unrun) for file in files)
    total = 100 * (lines - unrun) / lines
    if total < BOUND:
        wrong.append(f"{total:.1f} % of the lines are run; {BOUND:.0f} % are wanted")

    width = max(len(file.name) for file in files)
    for name, count, percent, _ in rows:
        print(f"{name:<{width}} {count:>5} lines {percent:6.1f} %")
    print(f"{'together':<{width}} {lines:>5} lines {total:6.1f} %, {unrun} lines are not run")
    for line in wrong:
        print(f"coverage: {line}", file=sys.stderr)
    if len(sys.argv) > 3 and not wrong:
        head = os.path.join(os.path.dirname(os.path.abspath(__file__)), "document_head.md")
        with open(head) as text, open(sys.argv[3], "w") as document:
            document.write(text.read().format(total=f"{total:.1f}", lines=lines, unrun=unrun, date=os.environ["TODAY"]))
            document.write("\n| file | lines | run, % | not run, and why |\n| --- | ---: | ---: | --- |\n")
            for name, count, percent, why in rows:
                document.write(f"| {name} | {count} | {percent:.1f} | {why} |\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
