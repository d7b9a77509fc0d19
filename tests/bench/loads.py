# SPDX-License-Identifier: Apache-2.0
"""What is measured besides whole programs: one function per question, each returning plain data for bench.json."""

import csv
import hashlib
import io
import json
import os
import platform

import programs
from measure import (AGAIN, NONE, NULL, SHIM, Workplace, built, geometric_mean, installed_allocators,
                     interleave, key_values, library, output_of, preload, ratio, say, summary)

ALL = [NONE, NULL, SHIM, AGAIN]


def micro_figures(preload_value, min_time, binary="micro", pattern=".", **more):
    text = output_of([built(binary), f"--benchmark_min_time={min_time}", "--benchmark_format=json",
                      f"--benchmark_filter={pattern}"], preload_value, **more)
    # A preload may write to stdout before the JSON begins.
    return {one["name"]: one["cpu_time"] for one in json.loads(text[text.index("{"):])["benchmarks"]}


def micro(rounds, min_time):
    """ns of CPU time per turn, by allocator and operation."""
    result = {}
    for allocator, path in installed_allocators().items():
        say(f"bench: micro loops, {allocator}")
        samples = interleave(ALL, rounds, lambda variant: micro_figures(preload(variant, path), min_time))
        result[allocator] = {figure: summary(by_variant) for figure, by_variant in samples.items()}
    return result


def arena_pair(rounds, min_time):
    """An arena pair of 64 bytes over tcmalloc's own, in one process."""
    path = library("libtcmalloc.so.4")
    samples = {}
    for _ in range(rounds):
        figures = micro_figures(path, min_time, "arena_micro")
        for order in ("", "_out_of_order"):
            one = samples.setdefault(f"pair{order}", {NONE: [], SHIM: []})
            one[SHIM].append(figures[f"arena_pair{order}"])
            one[NONE].append(figures[f"allocator_pair{order}"])
    return {name: summary(by_variant) for name, by_variant in samples.items()}


def inside(rounds, turns, microseconds):
    """ns of CPU time of malloc + touch + free by size, inside a walk and outside, in one process; and what is made of
    the same pages fresh from the kernel."""
    result = {}
    for allocator in ("tcmalloc", "glibc"):
        path = installed_allocators().get(allocator)
        if path is None:
            continue
        say(f"bench: inside a walk, {allocator}")
        samples = {}
        for _ in range(rounds):
            figures = key_values(output_of([built("inside"), str(turns), str(microseconds)], preload(SHIM, path),
                                           UNKNOT_MODE="protect"))
            for key, number in figures.items():
                where, what = key.split("_")
                samples.setdefault(what, {}).setdefault(where, []).append(number)
        result[allocator] = {what: of_inside(by_place) for what, by_place in samples.items()}
    return result


def of_inside(by_place):
    one = {f"{where}_ns": round(sorted(numbers)[len(numbers) // 2], 2) for where, numbers in by_place.items()}
    one["inside/outside"] = ratio(by_place, "inside", "outside")
    if "mmap" in by_place:
        one["inside/mmap"] = ratio(by_place, "inside", "mmap")
    return one


def churn(rounds, turns):
    """ms of CPU time: dlopen and dlclose of a library whose constructor makes a million blocks and whose destructor
    frees them."""
    say("bench: a library with a million blocks")
    path = library("libtcmalloc.so.4")
    samples = interleave([NONE, SHIM, AGAIN], rounds, lambda variant: key_values(output_of(
        [built("churn"), built("libchurning_library.so"), str(turns)], preload(variant, path))))
    return {figure: summary(by_variant) for figure, by_variant in samples.items()}


def threads(rounds, operations, counts):
    """ns of CPU time per operation, by load and number of threads."""
    result = {}
    path = library("libtcmalloc.so.4")
    for load, threads_per_unit in (("larson", 1), ("pipeline", 2)):
        for count in counts:
            units = count // threads_per_unit
            if units == 0:
                continue
            say(f"bench: {load}, {count} threads")
            samples = interleave(ALL, rounds, lambda variant: key_values(output_of(
                [built(load), str(units), str(operations // units)], preload(variant, path))))
            result.setdefault(load, {})[str(count)] = {figure: summary(v) for figure, v in samples.items()}
    return result


def storms(rounds, phases, ms):
    """malloc beside a thread that walks, or looks symbols up, without pause."""
    result = {}
    path = library("libtcmalloc.so.4")
    for storm in ("walk", "first_object", "dlsym", "dladdr"):
        say(f"bench: beside a {storm} storm")

        def one(variant):
            figures = key_values(output_of([built("beside_storm"), storm, str(phases), str(ms)],
                                           preload(variant, path)))
            figures["storm_over_quiet"] = figures["storm_ns"] / figures["quiet_ns"]
            return figures

        result[storm] = {figure: summary(v) for figure, v in interleave(ALL, rounds, one).items()}
    return result


def start_up(rounds):
    """Microseconds from posix_spawn to the end of /bin/true, median over the rounds."""
    result = {}
    for allocator, path in installed_allocators().items():
        lines = output_of([built("startup"), str(rounds), "/bin/true"] + [preload(v, path) for v in ALL]).split()
        result[allocator] = dict(zip(ALL, map(float, lines)))
        result[allocator]["added_us"] = round(result[allocator][SHIM] - result[allocator][NONE], 1)
    return result


def resident(rounds):
    """kB; own: pages that exist because of this process."""
    result = {}
    for allocator, path in installed_allocators().items():
        samples = interleave([NONE, SHIM], rounds,
                             lambda variant: key_values(output_of([built("resident")], preload(variant, path))))
        result[allocator] = {figure: summary(v)["median"] for figure, v in samples.items()}
        for medians in result[allocator].values():
            medians["added_kb"] = medians[SHIM] - medians[NONE]
    return result


def whole_programs(rounds, scale):
    """CPU seconds and elapsed seconds."""
    result = {}
    path = library("libtcmalloc.so.4")
    with Workplace() as workplace:
        for program in programs.programs(scale):
            say(f"bench: {program.name}")
            folder = os.path.join(workplace, program.name.split(",")[0].replace(" ", "_"))
            os.makedirs(folder, exist_ok=True)
            program.prepare(folder)
            program.run(preload(NONE, path))  # caches warm up before anything counts
            samples = interleave(ALL, rounds, lambda variant: program.run(preload(variant, path)))
            result[program.name] = {figure: summary(v) for figure, v in samples.items()}
    return {"programs": result, "geometric_mean": {
        kind: geometric_mean([p["cpu_s"][kind]["median"] for p in result.values()])
        for kind in ("shim/none", "shim/null", "null/none", "again/none")}}


def stall(rounds, hold_ms):
    """Slowest malloc in microseconds while another thread holds the loader lock."""
    path = library("libtcmalloc.so.4")
    say("bench: stall")
    samples = interleave([NONE, SHIM], rounds,
                         lambda variant: key_values(output_of([built("stall"), str(hold_ms)], preload(variant, path))))
    return {"hold_ms": hold_ms, **{
        figure: {variant: {"median": sorted(values)[len(values) // 2], "worst": max(values), "best": min(values)}
                 for variant, values in by_variant.items()} for figure, by_variant in samples.items()}}


def walk_memory(seconds):
    """Memory over time in a storm of walks, as a table, and what it did after its first third."""
    say(f"bench: memory in a walk storm, {seconds} s")
    text = output_of([built("walk_memory"), str(seconds), "2"], preload(SHIM, library("libtcmalloc.so.4")))
    rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    settled = [row["resident_kb"] for row in rows[len(rows) // 3:]]
    half = len(settled) // 2
    mean = lambda values: sum(values) / len(values)
    return {"rows": rows, "walks_per_second": round(rows[-1]["walks"] / rows[-1]["seconds"]),
            "resident_mean_kb": round(mean(settled)), "resident_peak_kb": max(r["resident_kb"] for r in rows),
            "drift": round(mean(settled[half:]) / mean(settled[:half]), 4)}


def peers(rounds, min_time, scale):
    """What other interposers cost: a pair in ns, and a program that allocates a lot, over the same allocator bare."""
    tcmalloc, jemalloc = library("libtcmalloc.so.4"), library("libjemalloc.so.2")
    heaptrack, memusage = library("heaptrack/libheaptrack_preload.so"), library("libmemusage.so")
    unknot = built("libunknot.so")
    contestants = {  # name: (library it needs, its preload, its variables, preload of the base)
        "unknot, protecting (tcmalloc)": (tcmalloc, f"{unknot}:{tcmalloc}", {}, tcmalloc),
        "tcmalloc, heap sampling every 512 kB": (tcmalloc, tcmalloc, {"TCMALLOC_SAMPLE_PARAMETER": "524288"}, tcmalloc),
        "jemalloc, prof:true": (jemalloc, jemalloc, {"MALLOC_CONF": "prof:true"}, jemalloc),
        "libmemusage.so (glibc)": (memusage, memusage, {}, ""),
        "heaptrack's preload (glibc)": (heaptrack, heaptrack, {"DUMP_HEAPTRACK_OUTPUT": "/dev/null"}, ""),
    }
    program = next((p for p in programs.programs(scale) if "PYTHONMALLOC" in p.name), None)
    result = {}
    with Workplace() as folder:
        if program is not None:
            program.prepare(folder)
        for name, (needs, preload_value, variables, base) in contestants.items():
            if needs is None:
                say(f"bench: {name} is left out, its library is not installed")
                continue
            say(f"bench: peer {name}")

            def one(variant):
                given, more = (base, {}) if variant == NONE else (preload_value, variables)
                figures = {"pair_ns": micro_figures(given, min_time, "micro", "^malloc_free$", **more)["malloc_free"]}
                if program is not None:
                    figures["program_cpu_s"] = programs.cost_of(program.arguments, given, folder, **program.more,
                                                                **more)["cpu_s"]
                return figures

            result[name] = {f: summary(v) for f, v in interleave([NONE, SHIM], rounds, one).items()}
    return result


def instructions_in(arguments, preload_value, folder, **more):
    pattern = os.path.join(folder, "callgrind.out")
    output_of(["valgrind", "--tool=callgrind", f"--callgrind-out-file={pattern}"] + arguments, preload_value, folder,
              **more)
    with open(pattern, encoding="utf-8") as file:
        # "summary:" or "totals:", by version
        return next(int(line.split()[1]) for line in file if line.startswith(("summary:", "totals:")))


def instruction_counts(quick):
    """Instructions per turn of the counted loops, and of small runs of whole programs; they are the same everywhere."""
    say("bench: instruction counts")
    path = library("libtcmalloc.so.4")
    variants = [NONE, NULL, SHIM]
    loops = {}
    with Workplace() as folder:
        for loop in ("malloc_free", "new_delete", "calloc_free", "realloc_moves", "posix_memalign_free", "walk"):
            counts = {}
            for variant in variants:
                few, many = (instructions_in([built("counted_loop"), loop, str(turns)], preload(variant, path), folder)
                             for turns in (1000, 11000))
                counts[variant] = round((many - few) / 10000, 1)
            loops[loop] = counts
        whole = {}
        for program in [] if quick else programs.programs(1):
            if "PYTHONMALLOC" not in program.name and program.name.split()[0] not in ("perl", "sqlite3"):
                continue  # fifty times slower than life: three that allocate a lot have to do
            program.scale = 1
            program.prepare(folder)
            whole[program.name] = {
                variant: instructions_in(program.arguments, preload(variant, path), folder, PYTHONHASHSEED="0",
                                         PERL_HASH_SEED="0", **program.more) for variant in variants}
            whole[program.name]["shim/none"] = round(whole[program.name][SHIM] / whole[program.name][NONE], 4)
    return {"loops": loops, "programs": whole}


def fingerprint():
    """Which build of the shim: parts measured one by one may stand for different ones."""
    with open(built("libunknot.so"), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def first_line(arguments):
    try:
        return output_of(arguments).splitlines()[0]
    except (OSError, RuntimeError, IndexError):
        return "unknown"


def machine():
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.lower().startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    packages = ("libc6 libgoogle-perftools4 libtcmalloc-minimal4 libmimalloc2.0 libjemalloc2 libunwind8 heaptrack "
                "openjdk-17-jdk-headless libllvm14 libicu72 postgresql nodejs")
    versions = {}
    for package in packages.split():
        version = first_line(["dpkg-query", "-W", "-f=${Version}\n", package])
        if version != "unknown":
            versions[package] = version
    with open("/etc/os-release", encoding="utf-8") as file:
        system = next((l.split("=", 1)[1].strip().strip('"') for l in file if l.startswith("PRETTY_NAME=")), "unknown")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "system": system,
            "compiler": first_line(["g++", "--version"]), "versions": versions}
