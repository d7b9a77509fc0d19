# SPDX-License-Identifier: Apache-2.0
"""What is said about a load once it is over: its totals, whether its memory stayed flat, and a verdict."""

import math
import statistics

# A line is flat when the mean of its last third is not above the mean of its middle third by more than 5 %, 1 MiB, and
# four times the standard error of that difference. See README.md.
FLAT_RATIO, FLAT_SLACK_KB, FLAT_ERRORS = 1.05, 1024, 4
# Below, the middle third still holds what a load takes to fill its caches.
JUDGED_FROM_MINUTES = 8
LINES = ("resident_kb", "committed_kb", "live_kb")
LATENCIES = {"p99_ms": "99th percentile", "slowest_ms": "slowest"}  # shown, not judged: the machine has neighbours
TOTALS = ("walks", "walks_from_snapshot", "walks_from_outdated", "diverted", "deferred", "drained", "forwarded", "failed",
          "averted")


def mean(values):
    return sum(values) / len(values)


def line(samples, name):
    """First tenth, middle third, last third, last tenth of a series, as means; None where there are too few samples."""
    values = [sample[name] for sample in samples if name in sample]
    if len(values) < 6:
        return None
    tenth, third = max(1, len(values) // 10), len(values) // 3
    one = {"first_tenth": mean(values[:tenth]), "middle_third": mean(values[third:2 * third]),
           "last_third": mean(values[-third:]), "last_tenth": mean(values[-tenth:]), "peak": max(values)}
    error = math.sqrt((statistics.variance(values[third:2 * third]) + statistics.variance(values[-third:])) / third)
    one["allowed"] = one["middle_third"] * FLAT_RATIO + FLAT_SLACK_KB + FLAT_ERRORS * error
    one["is_flat"] = one["last_third"] <= one["allowed"]
    return {name: value if isinstance(value, bool) else round(value, 3 if value < 1000 else 0)
            for name, value in one.items()}


def totals(load, samples):
    """Of the report at exit; where there is none, of the last sample."""
    last = load.report() or (samples[-1] if samples else {})
    return {name: last.get(name) for name in TOTALS}


def result(load, samples, why, minutes, diverts=True):
    """`why`: hung, crashed or the like, None when it ended well. `diverts`: under the whole shim."""
    one = {"allocator": load.allocator, "figures": load.figures(), "totals": totals(load, samples),
           "reported": bool(load.report()), "lines": {name: line(samples, name) for name in LINES},
           "latency": {name: line(samples, name) for name in LATENCIES}}
    faults = [why] if why else []
    if not faults:
        faults = complaints(one, minutes, diverts)
    one["verdict"] = "; ".join(faults) or "good"
    return one


def complaints(one, minutes, diverts):
    faults, counts = [], one["totals"]
    if not one["reported"]:
        faults.append("wrote no report at its end")
    if not sum(value for name, value in one["figures"].items() if not name.endswith("_us")):
        faults.append("got nothing done")
    if diverts and not counts["diverted"]:
        faults.append("diverted nothing")
    if not diverts and (counts["diverted"] or counts["deferred"]):
        faults.append(f"{counts['diverted']} diverted, {counts['deferred']} deferred by walks alone")
    if counts["deferred"] != counts["drained"]:
        faults.append(f"{counts['deferred']} deferred, {counts['drained']} drained")
    if counts["forwarded"]:
        faults.append(f"{counts['forwarded']} forwarded")
    if counts["failed"] and "operations" not in one["figures"]:  # the fuzzer asks for too much on purpose
        faults.append(f"{counts['failed']} failed")
    if minutes >= JUDGED_FROM_MINUTES:
        faults += [f"{name} not flat ({curve['middle_third']} -> {curve['last_third']}, allowed {curve['allowed']})"
                   for name, curve in one["lines"].items() if curve and not curve["is_flat"]]
    return faults


def table(results):
    """As Markdown."""
    rows = [["load", "allocator", "done", "walks", "from the snapshot", "from an outdated one", "diverted", "deferred = drained", "forwarded", "averted",
             "resident, MiB: first tenth, last tenth", "last third / middle third", "verdict"]]
    for name, one in results.items():
        counts, curve = one["totals"], one["lines"]["resident_kb"]
        done = ", ".join(f"{value:,.0f} {what}" for what, value in one["figures"].items() if not what.endswith("_us"))
        drained = f"{counts['deferred']:,}" if counts["deferred"] is not None else "-"
        if counts["deferred"] != counts["drained"]:
            drained += f" != {counts['drained']:,}"
        rows.append([name, one["allocator"], done or "-"] + [number(counts["walks"]), number(counts["walks_from_snapshot"]),
                    number(counts["walks_from_outdated"]), number(counts["diverted"]), drained, number(counts["forwarded"]), number(counts["averted"]),
                    f"{curve['first_tenth'] / 1024:.1f}, {curve['last_tenth'] / 1024:.1f}" if curve else "-",
                    f"{curve['last_third'] / curve['middle_third']:.3f}" if curve else "-", one["verdict"]])
    rows.insert(1, ["---"] * 3 + ["---:"] * 9 + ["---"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def latencies(results):
    """A line per latency that was measured, in ms."""
    return [f"{load}, {what}: {curve['middle_third']:.3f} ms in the middle third, {curve['last_third']:.3f} in the last, "
            f"{curve['peak']:.3f} at most" for load, one in results.items() for name, what in LATENCIES.items()
            if (curve := one["latency"][name])]


def number(value):
    return "-" if value is None else f"{value:,}"
