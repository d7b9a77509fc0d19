# SPDX-License-Identifier: Apache-2.0
"""The plots, drawn by gnuplot from the figures of one bench.json."""

import os
import subprocess

from measure import say
from report import OPERATIONS

STYLE = """
set terminal svg size {width},{height} font 'sans-serif,13' background rgb 'white'
set output '{output}'
set border 3 lc rgb '#666666'
set tics nomirror
set grid ytics lc rgb '#dddddd'
set key outside top center horizontal
"""
BLUE, ORANGE, GREY = "#1f6fb4", "#d9730d", "#999999"


def draw(path, script, data, width=900, height=420):
    blocks = "".join(f"${name} << EOD\n{text}\nEOD\n" for name, text in data.items())
    text = STYLE.format(width=width, height=height, output=path) + blocks + script
    done = subprocess.run(["gnuplot"], input=text, text=True, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(f"gnuplot could not draw {path}: {done.stderr.strip()[-400:]}")


def overhead(path, data):
    entries = [(OPERATIONS[name], one) for name, one in data["micro"].get("tcmalloc", {}).items()
               if name in OPERATIONS]
    entries += [(name, program["cpu_s"]) for name, program in data["whole"]["programs"].items()]
    lines = [f'"{name}" {one["shim/none"]["median"]} {one["shim/none"]["low"]} {one["shim/none"]["high"]} '
             f'{one["again/none"]["median"]} {one["again/none"]["low"]} {one["again/none"]["high"]}'
             for name, one in entries]
    draw(path, f"""
set title 'CPU time over no shim (tcmalloc, protecting); bars: middle half of the rounds'
set xtics rotate by -35 noenhanced
set ylabel 'ratio'
set yrange [0.8:*]
set xrange [-0.6:{len(lines) - 0.4}]
plot 1 lc rgb '{GREY}' dt 2 notitle, \\
  $overhead using ($0-0.1):2:3:4:xtic(1) with yerrorbars pt 7 lc rgb '{BLUE}' title 'Unknot', \\
  $overhead using ($0+0.1):5:6:7 with yerrorbars pt 6 lc rgb '{GREY}' title 'no shim against itself'
""", {"overhead": "\n".join(lines)}, height=520)


def scaling(path, data):
    blocks, curves = {}, []
    for load, color in zip(data["threads"], (BLUE, ORANGE)):
        blocks[load] = "\n".join(
            f'{count} {one["cpu_ns"]["shim/none"]["median"]} {one["cpu_ns"]["shim/none"]["low"]} '
            f'{one["cpu_ns"]["shim/none"]["high"]}' for count, one in data["threads"][load].items())
        curves.append(f"${load} using 1:2:3:4 with yerrorlines pt 7 lc rgb '{color}' title '{load}'")
    draw(path, f"""
set title 'CPU time per operation over no shim, by threads ({data["machine"]["cores"]} cores)'
set xlabel 'threads'
set ylabel 'ratio'
set logscale x 2
set yrange [0.8:*]
set xrange [0.9:18]
plot 1 lc rgb '{GREY}' dt 2 notitle, {", ".join(curves)}
""", blocks)


def stall(path, data):
    names = {"growth_us": "grows the heap", "everyday_us": "everyday work"}
    lines = [f'"{name}" {data["stall"][figure]["none"]["median"] / 1000} {data["stall"][figure]["shim"]["median"] / 1000}'
             for figure, name in names.items()]
    draw(path, f"""
set title 'Slowest malloc while another thread holds the loader lock for {data["stall"]["hold_ms"]} ms'
set ylabel 'ms'
set logscale y
set yrange [0.01:4000]
set style data histograms
set style histogram clustered gap 2
set style fill solid 0.85 noborder
set boxwidth 0.9
plot $stall using 2:xtic(1) lc rgb '{ORANGE}' title 'tcmalloc', $stall using 3 lc rgb '{BLUE}' title 'with Unknot'
""", {"stall": "\n".join(lines)}, width=760)


def walk_memory(path, data):
    lines = [f'{r["seconds"]} {r["resident_kb"] / 1024} {r["committed_kb"] / 1024} {r["reserved_kb"] / 1048576}'
             for r in data["walk_memory"]["rows"]]
    draw(path, f"""
set title 'Memory in a storm of {data["walk_memory"]["walks_per_second"]} walks per second, 530 blocks each'
set xlabel 'seconds'
set ylabel 'MiB'
set y2label 'GiB of address space'
set y2tics
set border 11
set yrange [0:*]
set y2range [0:*]
plot $memory using 1:2 with lines lw 2 lc rgb '{BLUE}' title 'resident', \\
  $memory using 1:3 with lines lw 2 lc rgb '{ORANGE}' title 'arena, committed', \\
  $memory using 1:4 axes x1y2 with lines lw 2 lc rgb '{GREY}' title 'arena, reserved (right)'
""", {"memory": "\n".join(lines)})


def inside(path, data):
    lines = [f'{size} {one["outside_ns"]} {one["inside_ns"]} {one.get("mmap_ns", "NaN")}'
             for size, one in data["inside"]["tcmalloc"].items() if size != "string"]
    draw(path, f"""
set title 'malloc + touch + free inside a walk by size (tcmalloc, protecting)'
set xlabel 'bytes'
set ylabel 'ns'
set logscale xy
set format y '10^{{%T}}'
set xrange [40:30000000]
plot $inside using 1:2 with linespoints pt 7 lc rgb '{GREY}' title 'outside the walk', \\
  $inside using 1:3 with linespoints pt 7 lc rgb '{BLUE}' title 'inside, from the arena', \\
  $inside using 1:4 with linespoints pt 6 lc rgb '{ORANGE}' title 'mmap + munmap'
""", {"inside": "\n".join(lines)})


def throws(path, data):
    blocks, curves = {}, []
    names = {"none": ("no shim", GREY), "shim": ("Unknot", BLUE), "cached": ("a cached list, no dlclose", ORANGE)}
    measured = [(system, one["threads"]["throw"]) for system, one in data["throws"].items() if "threads" in one]
    most = max(int(count) for _, by_count in measured for count in by_count)
    for number, (system, by_count) in enumerate(measured):
        for variant, (name, color) in names.items():
            block = f"{variant}{number}"
            blocks[block] = "\n".join(f'{count} {one["median"][variant] / 1000}' for count, one in by_count.items())
            curves.append(f"${block} using 1:2 with linespoints pt {7 - number} dt {number + 1} lw 2 lc rgb '{color}' "
                          f"title '{name}, {system}'")
    draw(path, f"""
set title 'Throws per second by threads, of all threads together ({data["machine"]["cores"]} cores)'
set key maxcols {len(names)}
set xlabel 'threads'
set ylabel 'thousands per second'
set logscale x 2
set yrange [0:*]
set xrange [0.9:{most * 1.1}]
plot {", ".join(curves)}
""", blocks)


PLOTS = {
    "overhead.svg": ("overhead by benchmark", overhead),
    "scaling.svg": ("scaling by threads", scaling),
    "throws.svg": ("throws per second by threads", throws),
    "inside.svg": ("cost inside a walk by size", inside),
    "stall.svg": ("stall", stall),
    "walk-storm.svg": ("memory in a walk storm", walk_memory),
}


def draw_all(root, data):
    """Draws what it can into docs/plots; {path in the repository: title}."""
    drawn = {}
    os.makedirs(os.path.join(root, "docs/plots"), exist_ok=True)
    for name, (title, function) in PLOTS.items():
        path = f"docs/plots/{name}"
        try:
            function(os.path.join(root, path), data)
            drawn[path] = title
        except KeyError as part:
            say(f"bench: {part} was not measured; {path} is not drawn")
        except FileNotFoundError:
            say("bench: gnuplot is not installed; nothing is drawn")
            return drawn
    return drawn
