#!/usr/bin/env python3
"""Writes docs/compatibility.md from what test_mqadmin.py noted.

    COMPATIBILITY=/tmp/noted python3 -m unittest test_mqadmin
    tests/interop/compatibility.py /tmp/noted > docs/compatibility.md
"""

import json
import sys

from test_mqadmin import ALL, REFUSED, WORKS

HEAD = """# Compatibility

Written by `tests/interop/compatibility.py` from a run of `tests/interop/test_mqadmin.py`: each subcommand of
Apache RocketMQ's own mqadmin, in two versions, against a cluster of three nodes and three groups, and what
it printed. "yes": it did what it says. "refused": it printed an error that names the reason. "–": that
version has no such subcommand. What clients can do is tested by `tests/interop/test_java.py`,
`test_core.py` and listed in [limits.md](limits.md) where it is missing.

| mqadmin | 5.3.3 | 4.9.8 | |
| --- | --- | --- | --- |
"""


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        noted = {tuple(json.loads(line)) for line in lines}
    rows = {}
    for name, versions, _, expected, *reason in WORKS + REFUSED:
        row = rows.setdefault(name, {"reason": reason[0] if reason else ""})
        for version in versions:
            held = (version, name, expected) in noted
            word = ("refused" if reason else "yes") if held else "fails"
            row[version] = word if row.get(version, word) == word else "in part"
    sys.stdout.write(HEAD)
    for name in sorted(rows, key=str.lower):
        row = rows[name]
        columns = " | ".join(row.get(version, "–") for version in ALL)
        print(f"| {name} | {columns} | {row['reason']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
