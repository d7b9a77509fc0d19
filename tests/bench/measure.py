# SPDX-License-Identifier: Apache-2.0
"""Interleaved runs and their ratios.

On a machine that is not ours alone a figure means nothing by itself. Variants run in turns, each round in another
order, and what is reported is the median over the rounds of the ratio within one round. The variant `again` is `none` a
second time: its ratio says how much of any other ratio is noise.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile

BUILD = None  # where the benchmarks were built; set once by drive.py

NONE, AGAIN, NULL, SHIM, CACHED = "none", "again", "null", "shim", "cached"

LIBRARY_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]
ALLOCATORS = {
    "tcmalloc": "libtcmalloc.so.4",
    "tcmalloc_minimal": "libtcmalloc_minimal.so.4",
    "mimalloc": "libmimalloc.so.2",
    "glibc": "",
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def library(name):
    """The path of a library, None if it is not installed."""
    for folder in LIBRARY_FOLDERS:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    return None


def built(name):
    return os.path.join(BUILD, name)


def installed_allocators():
    found = {}
    for name, file in ALLOCATORS.items():
        path = library(file) if file else ""
        if path is None:
            say(f"bench: {file} is not installed; {name} is left out")
        else:
            found[name] = path
    return found


def preload(variant, allocator_path):
    """LD_PRELOAD of a variant: the interposer first, then the allocator."""
    interposer = {NONE: "", AGAIN: "", NULL: built("libunknot_null.so"), SHIM: built("libunknot.so")}[variant]
    return ":".join(part for part in (interposer, allocator_path) if part)


def environment(preload_value, **more):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("UNKNOT_")}
    variables.pop("LD_PRELOAD", None)
    variables.update(more)
    if preload_value:
        variables["LD_PRELOAD"] = preload_value
    return variables


def output_of(arguments, preload_value="", cwd=None, **more):
    done = subprocess.run(arguments, env=environment(preload_value, **more), cwd=cwd, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} with LD_PRELOAD={preload_value or 'nothing'} ended with "
                           f"{done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def key_values(text):
    """The figures of a load: "a=1.5 b=2" -> {"a": 1.5, "b": 2.0}"""
    return {key: float(value) for key, value in (pair.split("=") for pair in text.split())}


def interleave(variants, rounds, measure):
    """measure(variant) -> {figure: number}; all of it as {figure: {variant: [one per round]}}."""
    samples = {}
    for round_number in range(rounds):
        shift = round_number % len(variants)
        order = variants[shift:] + variants[:shift]
        if round_number % 2:
            order.reverse()
        for variant in order:
            for figure, number in measure(variant).items():
                samples.setdefault(figure, {v: [] for v in variants})[variant].append(number)
    return samples


def ratio(samples, over, under):
    """Median of the rounds' ratios, and how far the middle half of them spreads."""
    ratios = sorted(a / b for a, b in zip(samples[over], samples[under]) if b > 0)
    if not ratios:
        return None
    quarter = len(ratios) // 4
    return {"median": round(statistics.median(ratios), 4), "low": round(ratios[quarter], 4),
            "high": round(ratios[-1 - quarter], 4)}


def summary(samples):
    """One figure: medians of every variant, and the ratios that there are variants for."""
    result = {"rounds": len(samples[NONE])}
    result["median"] = {variant: round(statistics.median(values), 4) for variant, values in samples.items()}
    for over, under in ((SHIM, NONE), (SHIM, NULL), (NULL, NONE), (CACHED, NONE), (AGAIN, NONE)):
        if over in samples and under in samples:
            result[f"{over}/{under}"] = ratio(samples, over, under)
    return result


def geometric_mean(numbers):
    return statistics.geometric_mean(numbers) if numbers else None


class Workplace:
    """A folder for inputs and outputs, removed at the end."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="unknot-bench-")
        return self.path

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)
