#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""links.py ROOT: every link and picture of every document leads to a file of the repository and, behind a #, to one of
its headings; every file that is named `like/this.md` from the top of the repository is there. Addresses elsewhere are not
asked for: a test needs no network."""

import os
import re
import sys

import documents

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source)[^>]*(?:src|srcset)=\"([^\"]+)\"|<a [^>]*href=\"([^\"]+)\"")
ROOMS = "docs|tests|shim|cli|policy|scripts|packaging|examples"
NAMED = re.compile(rf"`((?:{ROOMS})/[\w./-]+|\.ci/\w+)`")


def anchors(text):
    """As the forges make them: lower case, spaces to hyphens, other signs gone, a number behind the second of a name."""
    seen = {}
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", documents.without_code(text), flags=re.M):
        name = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", name.lower().replace("`", "")).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        yield name if seen[name] == 0 else f"{name}-{seen[name]}"


def troubles(root, path, text):
    prose = documents.without_code(text)
    for found in LINK.finditer(prose):
        target = next(filter(None, found.groups()))
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(root, os.path.dirname(path), file)) if file else os.path.join(root, path)
        line = prose[:found.start()].count("\n") + 1
        if not os.path.exists(full):
            yield f"{path}:{line}: {target} leads nowhere"
        elif anchor and not (full.endswith(".md") and anchor in anchors(
                text if not file else documents.read("/", full))):
            yield f"{path}:{line}: {target}: there is no such heading"
    for found in NAMED.finditer(prose):
        if path != "CHANGELOG.md" and not os.path.exists(os.path.join(root, found.group(1))):
            yield f"{path}:{prose[:found.start()].count(chr(10)) + 1}: `{found.group(1)}` is not there"


def main():
    root = os.path.realpath(sys.argv[1])
    bad = "# Two words\n[a](README.md) [b](#two-words) [c](no.md) [d](README.md#no) `docs/no.md`\n```\n[e](no)\n```\n<img src=\"no\">"
    if len(list(troubles(root, "README.md", bad))) != 4:
        sys.exit("links: it does not see what it looks for: " + repr(list(troubles(root, "README.md", bad))))
    found, links = [], 0
    for path in documents.documents(root):
        text = documents.read(root, path)
        links += len(LINK.findall(documents.without_code(text)))
        found += troubles(root, path, text)
    print("\n".join(found) if found else f"{links} links")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
