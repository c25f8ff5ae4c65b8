#!/usr/bin/env python3
"""Writes docs/compatibility.md from what the tests here noted; tests/run says if it is out of date.

    tests/run interop
    tests/interop/compatibility.py build/interop/noted > docs/compatibility.md
"""

import json
import sys

from features import CLIENTS, FEATURES
from test_mqadmin import ALL, REFUSED, WORKS

HEAD = """# Compatibility

Written by `tests/interop/compatibility.py` from a run of `tests/run interop`, in which unmodified clients
meet clusters of three nodes. What is missing is in [limits.md](limits.md).

## What clients can do

"yes": a test showed it; "–": the client has no such feature; "not tested": the client may have it.

"""

MQADMIN = """
## What mqadmin can do

Each subcommand of Apache RocketMQ's own mqadmin, in two versions, and what it printed. "yes": it did what
it says. "refused": it printed an error that names the reason. "–": that version has no such subcommand.

"""


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def clients(noted):
    words = {(line["client"], line["feature"]): line["word"] for line in noted}
    yield row("", *CLIENTS)
    yield row(*["---"] * (len(CLIENTS) + 1))
    for feature, text in FEATURES.items():
        yield row(text, *(words.get((client, feature), "not tested") for client in CLIENTS))


def mqadmin(noted):
    rows = {}
    for name, versions, _, expected, *reason in WORKS + REFUSED:
        entry = rows.setdefault(name, {"reason": reason[0] if reason else ""})
        for version in versions:
            held = (version, name, expected) in noted
            word = ("refused" if reason else "yes") if held else "fails"
            entry[version] = word if entry.get(version, word) == word else "in part"
    yield row("mqadmin", *ALL, "")
    yield row(*["---"] * (len(ALL) + 2))
    for name in sorted(rows, key=str.lower):
        entry = rows[name]
        yield row(name, *(entry.get(version, "–") for version in ALL), entry["reason"])


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        noted = [json.loads(line) for line in lines]
    sys.stdout.write(HEAD)
    print("\n".join(clients([line for line in noted if isinstance(line, dict)])))
    sys.stdout.write(MQADMIN)
    print("\n".join(mqadmin({tuple(line) for line in noted if isinstance(line, list)})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
