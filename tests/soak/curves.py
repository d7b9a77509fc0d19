# SPDX-License-Identifier: Apache-2.0
"""The plots of a soak: docs/plots/soak-*.svg."""

import os

from measure import say
from plots import draw

COLORS = ["#1f6fb4", "#d9730d", "#2a9d4b", "#c0392b", "#7d5fb2", "#8c564b", "#d070b0", "#666666", "#a0a020", "#17a0b0",
          "#e0b000", "#70d070", "#000000", "#ff60a0", "#3030ff"]
MEASURED = {"dlopen": "malloc beside dlopen", "redis": "redis-benchmark"}  # whose latency it is
POINTS = 120  # per line


def series(samples, name):
    return [f'{sample["minutes"]} {sample[name]}' for sample in samples if sample.get(name) is not None]


def thinned(samples):
    """At most POINTS of them, each the mean of its neighbours; of what is a peak, the highest."""
    step = -(-len(samples) // POINTS) or 1
    groups = [samples[start:start + step] for start in range(0, len(samples), step)]
    return [{name: (max if name in ("waiting", "slowest_ms") else mean)([one[name] for one in group if name in one])
             for name in group[-1]} for group in groups]


def mean(values):
    return round(sum(values) / len(values), 3)


def plot(path, title, label, all_samples, names, logarithmic):
    """`names`: figure -> how its title ends."""
    blocks, curves = {}, []
    for number, (load, samples) in enumerate(all_samples.items()):
        for dashes, (figure, ending) in enumerate(names.items(), 1):
            points = series(samples, figure)
            if len(points) < 2:
                continue
            block = f"s{number}_{dashes}"
            blocks[block] = "\n".join(points)
            curves.append(f"${block} using 1:2 with lines lw 1.5 dt {dashes} lc rgb '{COLORS[number % len(COLORS)]}' "
                          f"title '{MEASURED[load] if ending else load}{ending}' noenhanced")
    if not curves:
        return False
    scale = "set logscale y" if logarithmic else "set yrange [0:*]"
    draw(path, f"set title '{title}'\nset xlabel 'minutes'\nset ylabel '{label}'\n{scale}\nplot " +
         ", \\\n  ".join(curves) + "\n", blocks, height=520)
    return True


def draw_all(root, all_samples):
    """{path in the repository: title} of what was drawn."""
    plots = {
        "memory": ("resident memory", "MiB", {"resident_mib": ""}, True),
        "arena": ("arena memory backed by pages", "MiB", {"committed_mib": ""}, False),
        "deferred": ("frees that wait: deferred and not yet drained", "frees", {"waiting": ""}, False),
        "latency": ("latency", "ms",
                    {"p99_ms": ", 99th percentile", "slowest_ms": ", slowest"}, True),
    }
    drawn = {}
    os.makedirs(os.path.join(root, "docs/plots"), exist_ok=True)
    for name, (title, label, figures, logarithmic) in plots.items():
        path = f"docs/plots/soak-{name}.svg"
        try:
            if plot(os.path.join(root, path), title, label, all_samples, figures, logarithmic):
                drawn[path] = title
        except FileNotFoundError:
            say("soak: gnuplot is not installed; nothing is drawn")
            return drawn
    return drawn
