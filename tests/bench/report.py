# SPDX-License-Identifier: Apache-2.0
"""What is said about the figures: the goals and whether they were met, the tables of docs/measurements.md, and of the
README the one about who owns a loader lock."""

import os

from measure import geometric_mean

PLACES = {"bench": "docs/measurements.md", "under-the-lock": "README.md"}


class Goals:
    """Each row: what, the limit, what was measured. A figure that was not measured is no goal met."""

    def __init__(self):
        self.rows = []
        self.of = "who owns no lock"

    def at_most(self, what, limit, measured, unit="x"):
        self.add(what, "at most", limit, measured, unit, measured is not None and measured <= limit)

    def at_least(self, what, limit, measured, unit="x"):
        self.add(what, "at least", limit, measured, unit, measured is not None and measured >= limit)

    def add(self, what, direction, limit, measured, unit, met):
        self.rows.append({"goal": what, "limit": f"{direction} {limit} {unit}", "measured": measured, "unit": unit,
                          "met": met, "of": self.of})


def dig(data, *path):
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data


def of_ratio(data, *path):
    return dig(data, *path, "median")


def rounded(number):
    return None if number is None else round(number, 4)


def inverse(number):
    return round(1 / number, 4) if number else None


def goals(data):
    rows = Goals()
    for operation in ("malloc_free", "new_delete", "calloc_free", "realloc_moves", "posix_memalign_free"):
        one = dig(data, "micro", "tcmalloc", operation)
        rows.at_most(f"{operation}, protecting, over a null interposer", 1.08, of_ratio(one, "shim/null"))
        rows.at_most(f"{operation}, protecting, over no shim", 1.20, of_ratio(one, "shim/none"))
    for allocator in ("tcmalloc_minimal", "mimalloc", "glibc"):
        rows.at_most(f"malloc_free, passed through to {allocator}, over a null interposer", 1.08,
                     of_ratio(data, "micro", allocator, "malloc_free", "shim/null"))
    rows.at_most("whole programs, geometric mean", 1.01, rounded(dig(data, "whole", "geometric_mean", "shim/none")))
    if counted := [c["shim/none"] for c in (dig(data, "counts", "programs") or {}).values()]:
        rows.at_most("whole programs, instructions, geometric mean", 1.01, round(geometric_mean(counted), 4))
    for name, program in (dig(data, "whole", "programs") or {}).items():
        rows.at_most(name, 1.03, of_ratio(program, "cpu_s", "shim/none"))
    for load in dig(data, "threads") or {}:
        by_count = data["threads"][load]
        few, many = (of_ratio(by_count[n], "cpu_ns", "shim/none") for n in
                     (min(by_count, key=int), max(by_count, key=int)))
        if few and many:
            rows.at_most(f"{load}: ratio with most threads over ratio with fewest", 1.03, round(many / few, 4))
    for storm in ("walk", "first_object"):
        one = dig(data, "storm", storm)
        rows.at_most(f"pair beside a storm of {STORMS[storm]}, over its own quiet figure", 1.05,
                     dig(one, "storm_over_quiet", "median", "shim"))
        rows.at_least(f"speed of {STORMS[storm]} beside pairs, over no shim", 0.95,
                      inverse(of_ratio(one, "call_ns", "shim/none")))
    for storm in ("dlsym", "dladdr"):
        rows.at_most(f"pair beside a {storm} storm, over its own quiet figure", 1.5,
                     dig(data, "storm", storm, "storm_over_quiet", "median", "shim"))
    rows.at_most("start-up of /bin/true, added (tcmalloc)", 1000, dig(data, "start_up", "tcmalloc", "added_us"), "us")
    for figure, what in (("rss_kb", "shared pages of libraries included"), ("own_kb", "the process's own pages")):
        rows.at_most(f"resident memory, added, {what} (tcmalloc)", 300,
                     dig(data, "resident", "tcmalloc", figure, "added_kb"), "kB")
    rows.at_most("arena pair of 64 bytes over tcmalloc's own", 1.0, of_ratio(data, "arena", "pair", "shim/none"))
    rows.at_most("slowest malloc beside a held loader lock, median run", 5,
                 milliseconds(dig(data, "stall", "growth_us", "shim", "median")), "ms")
    rows.at_most("drift of resident memory in a walk storm", 1.02, dig(data, "walk_memory", "drift"))
    rows.of = UNDER_THE_LOCK
    for what, one in (dig(data, "inside", "tcmalloc") or {}).items():
        name = inside_name(what)
        if what != "string" and int(what) > MOST_REUSED:
            rows.at_most(f"{name}, inside a walk over fresh pages", 1.2, of_ratio(one, "inside/mmap"))
            continue
        limit = 1.5 if what != "string" and int(what) <= 15000 else 2.0
        rows.at_most(f"{name}, inside a walk over outside", limit, of_ratio(one, "inside/outside"))
    rows.at_most("dlopen + dlclose of a library with a million blocks, over no shim", 1.1,
                 of_ratio(data, "churn", "both_ms", "shim/none"))
    add_unwinding(rows, data)
    add_loads(rows, data)
    return rows.rows


UNDER_THE_LOCK = "who owns a loader lock, or unwinds"


def add_unwinding(rows, data):
    for system, measured in (dig(data, "throws") or {}).items():
        by_count = dig(measured, "threads", "throw") or {}
        rows.at_least(f"{system}: C++ throws of one thread, over no shim", 1.0, of_ratio(by_count, "1", "shim/none"))
        for count, one in by_count.items():
            if count != "1":
                bare = dig(one, "each/alone", "none")
                rows.at_least(f"{system}: throws of each of {count} threads, over one alone (no shim: {bare})", 0.95,
                              dig(one, "each/alone", "shim"))
        walks = {int(count): dig(one, "walk_ns", "median", "shim")
                 for count, one in (dig(measured, "libraries") or {}).items()}
        if walks:
            few, many = min(walks), max(walks)
            rows.at_most(f"{system}: an unwinder's walk in a process with {many} libraries, over one with {few}", 1.2,
                         round(walks[many] / walks[few], 4))


def add_loads(rows, data):
    for name, one in (dig(data, "loads") or {}).items():
        for label, figures in (dig(one, "figures") or {}).items():
            if label.endswith("CPU ms"):
                rows.at_most(f"{name}{label.removesuffix(', CPU ms')}, over no shim", 1.1,
                             of_ratio(figures, "shim/none"))


def milliseconds(microseconds):
    return None if microseconds is None else round(microseconds / 1000, 2)


def cell(number, digits=2):
    return "-" if number is None else f"{number:.{digits}f}"


def ratio_cell(entry):
    return "-" if entry is None else f"{entry['median']:.2f}"


def row(name, one, digits=1, unit=""):
    median = dig(one, "median") or {}
    values = [cell(median.get(v), digits) + (unit if v in median else "") for v in ("none", "null", "shim")]
    return [name, *values, ratio_cell(dig(one, "shim/none")), ratio_cell(dig(one, "shim/null")),
            ratio_cell(dig(one, "again/none"))]


def table(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return "\n".join([line(head), line(["---"] + ["---:"] * (len(head) - 1))] + [line(r) for r in rows if r])


OPERATIONS = {"malloc_free": "malloc + free", "new_delete": "new + delete", "calloc_free": "calloc + free",
              "realloc_moves": "realloc that moves", "posix_memalign_free": "posix_memalign + free",
              "walk": "dl_iterate_phdr over all objects"}
STORMS = {"walk": "dl_iterate_phdr over all objects", "first_object": "dl_iterate_phdr that ends at the first object",
          "dlsym": "dlsym", "dladdr": "dladdr"}


def cost_rows(data):
    for operation, name in OPERATIONS.items():
        if one := dig(data, "micro", "tcmalloc", operation):
            yield row(f"{name}, ns", one)
    for allocator in ("tcmalloc_minimal", "mimalloc", "glibc"):
        if one := dig(data, "micro", allocator, "malloc_free"):
            yield row(f"malloc + free, {allocator} (passed through), ns", one)
    for load, by_count in (dig(data, "threads") or {}).items():
        for count in (min(by_count, key=int), max(by_count, key=int)):
            plural = "s" if count != "1" else ""
            yield row(f"{load}, {count} thread{plural}, CPU ns per operation", by_count[count]["cpu_ns"])
    for storm, name in STORMS.items():
        if one := dig(data, "storm", storm):
            yield row(f"malloc + free beside a storm of {name}, ns", one["storm_ns"])
            yield row("one call of that storm, ns", one["call_ns"])
    for name, program in (dig(data, "whole", "programs") or {}).items():
        yield row(f"{name}, CPU s", program["cpu_s"], 2)
    if mean := dig(data, "whole", "geometric_mean"):
        yield ["whole programs, geometric mean", "", "", "", cell(mean["shim/none"], 3), cell(mean["shim/null"], 3),
               cell(mean["again/none"], 3)]


def other_rows(data):
    for loop, counts in (dig(data, "counts", "loops") or {}).items():
        yield [f"instructions, {OPERATIONS[loop]}", cell(counts["none"], 0), cell(counts["shim"], 0)]
    for name, counts in (dig(data, "counts", "programs") or {}).items():
        yield [f"instructions, {name}, a small run, millions", cell(counts["none"] / 1e6), cell(counts["shim"] / 1e6)]
    if one := dig(data, "start_up", "tcmalloc"):
        yield ["start of /bin/true, us", cell(one["none"], 0), cell(one["shim"], 0)]
    for figure, what in (("rss_kb", "libraries included"), ("own_kb", "its own pages")):
        if one := dig(data, "resident", "tcmalloc", figure):
            yield [f"resident memory of a small program, {what}, kB", cell(one["none"], 0), cell(one["shim"], 0)]
    for who, name in (("growth_us", "grows the heap"), ("everyday_us", "does everyday work")):
        for prefix, when in (("", f"while a callback takes {dig(data, 'stall', 'hold_ms')} ms"),
                             ("free_", "while no callback runs")):
            if one := dig(data, "stall", prefix + who):
                yield [f"slowest malloc {when}, thread that {name}, ms", cell(milliseconds(one["none"]["median"])),
                       cell(milliseconds(one["shim"]["median"]))]
    for figure, what in (("open_ms", "dlopen of a library that makes a million blocks"),
                         ("close_ms", "dlclose of it, which frees them")):
        if one := dig(data, "churn", figure):
            yield [f"{what}, CPU ms", cell(one["median"]["none"], 1), cell(one["median"]["shim"], 1)]
    if one := dig(data, "arena", "pair"):
        yield ["a pair of 64 bytes, tcmalloc's own against the arena's, ns", cell(one["median"]["none"], 1),
               cell(one["median"]["shim"], 1)]


MOST_REUSED = 12 << 20  # bytes: Arena::kept_in_stretch


def inside_name(what):
    if what == "string":
        return "a string that grows from 64 bytes to 64 kB"
    return f"malloc + touch + free of {int(what):,} bytes".replace(",", " ")


def inside_rows(data):
    for allocator, by_what in (dig(data, "inside") or {}).items():
        for what, one in by_what.items():
            yield [f"{inside_name(what)}, {allocator}", cell(one["outside_ns"], 1), cell(one["inside_ns"], 1),
                   cell(one.get("mmap_ns"), 1), ratio_cell(one["inside/outside"]), ratio_cell(one.get("inside/mmap"))]


def peer_rows(data):
    for name, one in (dig(data, "peers") or {}).items():
        yield [name, ratio_cell(dig(one, "pair_ns", "shim/none")), ratio_cell(dig(one, "program_cpu_s", "shim/none"))]


def load_rows(data):
    for name, one in (dig(data, "loads") or {}).items():
        if "needs" in one:
            yield [f"{name}: skipped, {one['needs']} is not installed", *[""] * 6]
            continue
        counts = one["counts"]
        of_what = ""
        if counts:
            symbols = f"{counts['symbols']:,.0f}".replace(",", " ")
            of_what = f" ({symbols} of {counts['libraries']:.0f} libraries)"
        for label, figures in one["figures"].items():
            median = figures["median"]
            yield [f"{name}{of_what}{label}", cell(median["none"]), cell(median["shim"]),
                   ratio_cell(figures["shim/none"]), ratio_cell(figures["again/none"]), str(one["diverted"]),
                   cell(one["diverted_bytes"] / 1000, 0)]


WORKS = {"throw": "C++ throw", "unw_backtrace": "unw_backtrace from 512 call sites",
         "_Unwind_Backtrace": "libunwind's _Unwind_Backtrace from 512 call sites"}
WALKS = {"walk_ns": "an unwinder's walk over all of", "throw_ns": "C++ throw through the last of",
         "trace_ns": "libunwind's _Unwind_Backtrace from the last of"}


def thread_rows(data):
    for system, measured in (dig(data, "throws") or {}).items():
        if "needs" in measured:
            yield [f"{system}: skipped, there is no {measured['needs']}", *[""] * 8]
        for work, by_count in (dig(measured, "threads") or {}).items():
            for count, one in by_count.items():
                rates = [cell(rate and rate / 1000, 0) for rate in map(one["median"].get, ("none", "shim", "cached"))]
                each = [cell(one["each/alone"].get(variant)) for variant in ("none", "shim", "cached")]
                plural = "s" if count != "1" else ""
                yield [f"{system}, {WORKS[work]}, {count} thread{plural}", *rates, ratio_cell(one["shim/none"]),
                       ratio_cell(one["again/none"]), *each]


def library_rows(data):
    for system, measured in (dig(data, "throws") or {}).items():
        for figure, what in WALKS.items():
            for count, figures in (dig(measured, "libraries") or {}).items():
                if one := figures.get(figure):
                    yield [f"{system}, {what} {count} libraries", cell(one["median"]["none"], 0),
                           cell(one["median"]["shim"], 0), ratio_cell(one["shim/none"]), ratio_cell(one["again/none"])]


def document_text(data):
    where = data["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    parts = [
        f"Measured on {data['date']}: {where['cores']} cores of {where['cpu']}, {where['system']}, Linux "
        f"{where['kernel']}; {where['compiler']}; {versions}. Medians of interleaved runs; ratios are medians of the "
        f"ratios within one round, and the last column, no shim against itself, says how much of them is noise. Over "
        f"tcmalloc, protecting, unless a row says otherwise.",
        table(["", "no shim", "null interposer", "Unknot", "Unknot / no shim", "Unknot / null", "A/A"],
              cost_rows(data)),
        table(["", "no shim", "Unknot"], other_rows(data)),
        "What a thread pays for memory inside a walk, under the loader's lock, beside what it pays outside, ns; mmap: "
        "the same pages fresh from the kernel and back:",
        table(["", "outside", "inside", "mmap", "inside / outside", "inside / mmap"], inside_rows(data)),
        "Loads in which the loader's locks are owned for long, over tcmalloc, protecting; what the arena served is "
        "that of one turn:",
        table(["", "no shim", "Unknot", "Unknot / no shim", "A/A", "blocks from the arena", "kB"], load_rows(data)),
        "Throws and traces by threads, thousands a second of all threads together, and what each of them does over "
        "what one thread alone does. The cached list is a preload that copies the list of loaded objects once, takes "
        "no lock and ignores dlopen and dlclose:",
        table(["", "no shim", "Unknot", "cached list", "Unknot / no shim", "A/A", "each / alone, no shim",
               "each / alone, Unknot", "each / alone, cached list"], thread_rows(data)),
        "An unwinder's walk by the number of loaded libraries, ns:",
        table(["", "no shim", "Unknot", "Unknot / no shim", "A/A"], library_rows(data)),
        "What interposers and heap profilers cost otherwise, each over its own base allocator in the same run:",
        table(["", "malloc + free, ratio", "python3, PYTHONMALLOC=malloc, ratio"], peer_rows(data)),
    ]
    plots = dig(data, "plots") or {}
    # Paths as seen from docs/, where the text stands.
    parts += [f"![{title}]({path.removeprefix('docs/')})" for path, title in plots.items()]
    parts.append("Every figure: [bench.json](bench.json).")
    return "\n\n".join(parts)


def lock_text(data):
    rows = [[row["goal"], "-" if row["measured"] is None else f"{row['measured']:.2f}", row["limit"].replace(" x", ""),
             "yes" if row["met"] else "no"] for row in data["goals"] if row["of"] == UNDER_THE_LOCK]
    return table(["over tcmalloc, protecting", "ratio", "wanted", "met"], rows)


def rewrite(root, data):
    """Says what could not be written."""
    complaints = []
    for place, text in (("bench", document_text(data)), ("under-the-lock", lock_text(data))):
        path = os.path.join(root, PLACES[place])
        begin, end = f"<!-- {place}:begin -->", f"<!-- {place}:end -->"
        with open(path, encoding="utf-8") as file:
            old = file.read()
        if begin not in old or end not in old:
            complaints.append(f"bench: {path} has no place between {begin} and {end}; it was left alone")
            continue
        before, rest = old.split(begin, 1)
        after = rest.split(end, 1)[1]
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{before}{begin}\n{text}\n{end}{after}")
    return complaints
