#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the client for threads from the one for asyncio.

    unasync.py [--check] [PACKAGE]

What `AsyncClient` and `Client` offer is written once, in aio/, and copied to sync/ without its
`await`s. The other files of sync/, which wait, are written by hand. --check changes nothing, and
fails if a copy is out of date.
"""

import pathlib
import re
import sys

FILES = ("client.py", "features.py", "dial.py")

CODE = (
    (r"\basync def\b", "def"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[None\]", "None"),
    (r"\bAwaitable, ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__a(?=enter__|exit__)", "__"),
    (r"\bfrom asyncio import sleep\b", "from time import sleep"),
)

# What the documentation says of tasks, and what of threads.
WORDS = (
    ("The client for asyncio: awaitable calls", "The client for threads: blocking calls"),
    ("for the tasks of one event loop", "that any number of threads may use at the same time"),
    (
        "asked for them; in the loop, so it must be quick",
        "asked for them; in the reading thread, so it must be quick, and must\n"
        "                       not wait for another request",
    ),
    (
        "functions of one question\n"
        "    on_sampling,       (Elicitation, Sampling, Roots), plain or async, each run in a task of its\n"
        "    on_roots           own. What is given",
        "functions of one question\n"
        "    on_sampling,       (Elicitation, Sampling, Roots), each run in a thread of its own. What is\n"
        "    on_roots           given",
    ),
    (
        "Cancelling a task that awaits a request cancels it at the daemon.",
        "After a fork the child opens a connection of its own.",
    ),
    ("belong to this request, in the loop.", "belong to this request, in the calling thread."),
    ("called in the loop while it waits", "called in this thread while it waits"),
    (
        "is a plain function, run in the loop, and must be quick.",
        "is run in the reading thread: it must be quick, and must not wait for another request.",
    ),
)

RULES = CODE + tuple((re.escape(aio), sync) for aio, sync in WORDS)


def without_await(name, text, unused):
    for rule in RULES:
        pattern, words = rule
        text, count = re.subn(pattern, words, text)
        if count:
            unused.discard(rule)
    left = re.search(r"\b(async|await|asyncio)\b|Async|Awaitable", text)
    if left:
        sys.exit(f"aio/{name}: no rule for {left[0]!r}")
    licence, rest = text.split("\n", 1)
    return f"{licence}\n# Written by unasync.py from aio/{name}: change that, and run it.\n{rest}"


def main(arguments):
    is_check = arguments[:1] == ["--check"]
    default = pathlib.Path(__file__).resolve().parent / "toolbroker"
    package = pathlib.Path(arguments[-1]) if arguments[is_check:] else default
    unused, stale = set(RULES), []
    for name in FILES:
        text = without_await(name, (package / "aio" / name).read_text(), unused)
        copy = package / "sync" / name
        if not copy.exists() or copy.read_text() != text:
            stale.append(str(copy))
            if not is_check:
                copy.write_text(text)
    if unused:
        sys.exit(f"nothing needs the rules {sorted(unused)}")
    if is_check and stale:
        sys.exit(f"out of date, run {sys.argv[0]}: {' '.join(stale)}")
    print(f"{len(FILES)} files, {len(stale)} {'out of date' if is_check else 'written'}")


if __name__ == "__main__":
    main(sys.argv[1:])
