# SPDX-License-Identifier: Apache-2.0
"""Which documents there are, and how their lines are told from their code."""

import os
import re

# What others generate, and what is about versions that are gone.
NOT_READ = {"build", ".git", "dist", "arena_corpus", "cli_corpus"}


def documents(root):
    """Every Markdown file of the repository, by its path in it."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - NOT_READ)
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(folder, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def without_code(text):
    """The same number of lines, those of fenced blocks empty."""
    return re.sub(r"^```.*?^```$", lambda block: "\n" * block.group().count("\n"), text, flags=re.M | re.S)


def blocks(text):
    """(line, marker, content) of every fenced block that a line `<!-- run... -->` stands before."""
    for found in re.finditer(r"^<!-- run\b:? *(.*?) *-->\n```\w*\n(.*?)^```$", text, flags=re.M | re.S):
        yield text[:found.start()].count("\n") + 1, found.group(1), found.group(2)
