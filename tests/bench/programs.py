# SPDX-License-Identifier: Apache-2.0
"""Whole programs from Debian, with inputs made here.

What counts is the CPU time of the program and all its children: on a machine with neighbours the elapsed time says as
much about them. It is recorded too.
"""

import os
import random
import resource
import shutil
import socket
import subprocess
import time

from measure import environment, say

PYTHON = "/usr/bin/python3"  # Debian's, whatever stands first in PATH
WORDS = "loader lock walk callback arena chunk free thread unwind symbol table heap page cache stack frame".split()


def cost_of(arguments, preload_value, cwd, **more):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(arguments, cwd=cwd, env=environment(preload_value, **more), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return {"cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall_s": wall}


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def text_of(words):
    numbers = random.Random(1)
    return "".join(f"{numbers.choice(WORDS)}{numbers.randrange(1000)} {numbers.choice(WORDS)}\n" for _ in range(words))


PYTHON_OBJECTS = """
class Node:
    def __init__(self, key, left): self.key, self.left, self.extra = key, left, [key, str(key)]
total = 0
for turn in range(SCALE):
    tree = None
    index = {}
    for i in range(20000):
        tree = Node(i, tree if i % 50 else None)
        index["k%d" % (i * 7919 % 20011)] = tree
    total += sum(len(index[k].extra[1]) for k in sorted(index))
"""

PYTHON_JSON = """
import json, re
record = {"name": "walk", "values": list(range(40)), "nested": {"k%d" % i: "v" * i for i in range(40)}}
for turn in range(SCALE * 400):
    text = json.dumps([record] * 5)
    back = json.loads(text)
    assert len(re.findall(r'"k(\\d+)"', text)) == 200 and back[0]["name"] == "walk"
"""

PERL_REGEX = r"""
open my $in, '<', 'words.txt' or die; local $/; my $text = <$in>;
for my $turn (1 .. SCALE) {
    my %seen;
    while ($text =~ /\b([a-z]+)(\d+)\s+(\w+)/g) { $seen{"$1-$3"} .= $2; }
    my @parts = map { join ':', split /(\d)/, $_ } sort keys %seen;
    (my $copy = $text) =~ s/(\w)(\d+)/$2$1/g;
}
"""

SQLITE = """
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, number INTEGER);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < SCALE * 60000)
  INSERT INTO t SELECT i, 'name' || (i * 7919 % 100003), i * 31 % 1009 FROM c;
CREATE INDEX by_name ON t(name);
SELECT count(*) FROM (SELECT name, group_concat(id) g FROM t GROUP BY number ORDER BY name, length(g) DESC);
SELECT sum(length(a.name || b.name)) FROM t a JOIN t b ON a.name = b.name ORDER BY a.number;
"""


def cxx_source(functions):
    parts = ["#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"]
    for i in range(functions):
        parts.append(f"struct T{i} {{ int a; std::string b; }};\n"
                     f"int f{i}(const std::vector<T{i}>& v) {{ std::map<std::string, T{i}> m; int s = {i};\n"
                     f"  for (const auto& t : v) m[t.b] = t; for (auto& [k, t] : m) s += t.a + int(k.size());\n"
                     f"  return std::count_if(v.begin(), v.end(), [&](const T{i}& t) {{ return t.a > s; }}); }}\n")
    return "".join(parts)


def java_source(classes):
    body = "".join(f"  static class C{i} {{ java.util.Map<String, Integer> m = new java.util.HashMap<>();\n"
                   f"    int run(java.util.List<String> l) {{ return l.stream().map(s -> s + {i})"
                   f".filter(s -> m.getOrDefault(s, {i}) > 0).mapToInt(String::length).sum(); }} }}\n"
                   for i in range(classes))
    return f"public class Big {{\n{body}}}\n"


class Redis:
    """The server runs under the preload, the client does not; the server's CPU time counts."""

    name = "redis-benchmark"
    needs = ("redis-server", "redis-benchmark")

    def __init__(self, scale):
        self.requests = str(scale * 100000)

    def prepare(self, folder):
        self.folder = folder

    def run(self, preload_value):
        path = os.path.join(self.folder, "redis.sock")
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir",
                                   self.folder], env=environment(preload_value), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            wait_for_socket(server, path)
            start = time.monotonic()
            subprocess.run(["redis-benchmark", "-s", path, "-q", "-n", self.requests, "-r", "10000", "-P", "16", "-t",
                            "set,get,lpush,hset", "-d", "100"], check=True, env=environment(""),
                           stdout=subprocess.DEVNULL)
            wall = time.monotonic() - start
        finally:
            server.terminate()
            _, status, usage = os.wait4(server.pid, 0)
            server.returncode = os.waitstatus_to_exitcode(status)
        return {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall}


def wait_for_socket(server, path):
    while server.poll() is None:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
                return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"redis-server ended with {server.returncode} before it listened")


class Program:
    def __init__(self, name, arguments, files=None, scale=1, **more):
        self.name, self.arguments, self.files, self.more = name, arguments, files or {}, more
        self.needs = (arguments[0],)
        self.scale = scale

    def prepare(self, folder):
        self.folder = folder
        for name, text in self.files.items():
            write(folder, name, text.replace("SCALE", str(self.scale)))

    def run(self, preload_value):
        return cost_of(self.arguments, preload_value, self.folder, **self.more)


def programs(scale):
    """`scale` 1 is a fraction of a second each."""
    words = text_of(60000 * scale)
    return [p for p in (
        Redis(scale),
        Program("python3 objects", [PYTHON, "objects.py"], {"objects.py": PYTHON_OBJECTS}, 8 * scale),
        Program("python3 objects, PYTHONMALLOC=malloc", [PYTHON, "objects.py"], {"objects.py": PYTHON_OBJECTS},
                8 * scale, PYTHONMALLOC="malloc"),
        Program("python3 json and re", [PYTHON, "records.py"], {"records.py": PYTHON_JSON}, 3 * scale),
        Program("g++ -O2", ["g++", "-O2", "-c", "-o", "big.o", "big.cpp"], {"big.cpp": cxx_source(5 * scale)}),
        Program("javac", ["javac", "Big.java"], {"Big.java": java_source(40 * scale)}),
        Program("sqlite3 insert and sort", ["sqlite3", ":memory:", ".read load.sql"], {"load.sql": SQLITE}, 2 * scale),
        Program("perl regex", ["perl", "regex.pl"], {"regex.pl": PERL_REGEX, "words.txt": words}, 2 * scale),
        Program("xz", ["xz", "-3", "-k", "-f", "words.txt"], {"words.txt": words * 4}),
        Program("zstd", ["zstd", "-15", "-f", "-q", "words.txt"], {"words.txt": words * 4}),
    ) if present(p)]


def present(program):
    missing = [name for name in program.needs if shutil.which(name) is None]
    if missing:
        say(f"bench: {', '.join(missing)} is not installed; {program.name} is left out")
    return not missing
