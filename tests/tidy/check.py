#!/usr/bin/env python3
"""What a reviewer need not look for: which folder includes which, banned calls, lengths, formats.

Prints one line per trouble; its exit status is whether there was any.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LINE_MAX = 100
FUNCTION_MAX = 70

# Folder: what it may include of ours (prefixes), and which libraries' headers. The first match
# counts, so the narrower folder comes first. See docs/ARCHITECTURE.md.
BASE = ["common/base/"]
LAYERS = [
    ("common/base/", BASE, ["xxhash.h"]),
    ("common/remoting/", BASE + ["common/remoting/"], ["jansson.h", "zlib.h"]),
    ("common/net/", BASE + ["common/remoting/", "common/net/"], ["uv.h"]),
    ("common/store/", BASE + ["common/store/"], ["rocksdb/c.h"]),
    (
        "raft-glue/",
        BASE + ["common/remoting/message.h", "raft-glue/"],
        ["raft.h", "uv.h", "xxhash.h"],
    ),
    (
        "broker/machine/",
        BASE + ["common/remoting/", "common/store/kv.h", "broker/machine/"],
        ["msgpack.h", "xxhash.h"],
    ),
    ("broker/filter/", BASE + ["common/remoting/properties.h", "broker/filter/"], []),
    (
        "broker/core/",
        BASE + ["common/remoting/", "broker/filter/", "broker/machine/", "broker/core/",
                "raft-glue/replica_machine.h"],
        [],
    ),
    (
        "broker/",
        BASE + ["common/remoting/", "common/net/", "common/store/kv.h", "raft-glue/replica_host.h",
         "raft-glue/replica_admit.h", "raft-glue/replica_recover.h",
         "raft-glue/fetch.h", "raft-glue/fetch_image.h",
                "broker/"],
        ["uv.h"],
    ),
    ("nameserver/", BASE + ["common/remoting/", "common/net/", "nameserver/"], ["uv.h"]),
    ("client/", BASE + ["common/remoting/", "common/net/", "client/"], ["uv.h", "zlib.h"]),
    ("admin/", BASE + ["common/remoting/", "common/net/", "client/include/", "admin/"],
     ["uv.h", "jansson.h"]),
    ("deploy/", ["client/include/", "deploy/"], ["sqlite3.h"]),
]
LIBRARIES = {"uv.h", "raft.h", "rocksdb/c.h", "msgpack.h", "jansson.h", "zlib.h", "xxhash.h",
             "sqlite3.h", "openssl/ssl.h"}

BANNED = {
    r"\bstrcpy\s*\(": "memcpy with a checked size",
    r"\bstrcat\s*\(": "buf_put_text",
    r"\bsprintf\s*\(": "snprintf or buf_printf",
    r"\bvsprintf\s*\(": "vsnprintf",
    r"\bstrtok\s*\(": "a loop over slices",
    r"\bato[ilf]\s*\(": "decimal_parse",
    r"\balloca\s*\(": "a bounded array or mem_alloc",
    r"\bgets\s*\(": "fgets",
    r"\brand\s*\(": "a struct random that one is given",
    r"\b(TODO|FIXME|XXX|HACK)\b": "an issue, or docs/limits.md",
}
# No clock, chance or environment where everything must be the same on every replica.
PURE = ("broker/filter/", "broker/machine/", "broker/core/")
IMPURE = {
    r"\b(time|clock|gettimeofday|clock_gettime|rand|random|getenv|getrandom|pthread_\w+)\s*\(":
        "what it is given: clock and chance are ports",
}


def sources():
    """All C files but those below folders that are built or hidden."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "build")
        found += [os.path.relpath(os.path.join(folder, name), ROOT)
                  for name in sorted(names) if name.endswith((".c", ".h"))]
    return found


def code_of(text):
    """The text with comments and string contents blanked, lines kept."""
    def blank(match):
        found = match.group(0)
        if found.startswith('"') or found.startswith("'"):
            return found[0] + found[0]
        return re.sub(r"[^\n]", " ", found)

    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def check_includes(name, text, say):
    layer = next((l for l in LAYERS if name.startswith(l[0])), None)
    if layer is None:
        return
    _, ours, libraries = layer
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        kind, target = match.groups()
        if kind == '"' and not any(target.startswith(prefix) for prefix in ours):
            say(name, number, f"{layer[0]} may not include {target}")
        if kind == "<" and target in LIBRARIES and target not in libraries:
            say(name, number, f"{layer[0]} may not use {target}")


def check_calls(name, code, say):
    if name.startswith("tests/"):
        return
    rules = dict(BANNED)
    if name.startswith(PURE):
        rules.update(IMPURE)
    for number, line in enumerate(code.split("\n"), 1):
        for pattern, instead in rules.items():
            match = re.search(pattern, line)
            if match:
                say(name, number, f"{match.group(0).strip()} is not used here: {instead}")


def check_lengths(name, text, code, say):
    for number, line in enumerate(text.split("\n"), 1):
        # Columns, not bytes.
        if len(line) > LINE_MAX:
            say(name, number, f"{len(line)} columns, at most {LINE_MAX}")
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start - 1 > FUNCTION_MAX and name.endswith(".c"):
                say(name, start, f"{number - start - 1} lines in a body, at most {FUNCTION_MAX}")
            start = None


def check_guard(name, text, say):
    if not name.endswith(".h"):
        return
    # The public header is known by its own name, wherever it is installed.
    name = "raftmq.h" if name == "client/include/raftmq.h" else name
    guard = re.sub(r"[^A-Z0-9]", "_", name.upper())
    if f"#ifndef {guard}\n#define {guard}\n" not in text:
        say(name, 1, f"the guard must be {guard}")


def check_format(names, say):
    """clang-format, where it is installed (it is a package of the build)."""
    try:
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", *names], cwd=ROOT,
                              capture_output=True, text=True, check=False)
    except FileNotFoundError:
        print("clang-format is not installed: formats not checked")
        return
    for line in done.stderr.split("\n"):
        match = re.match(r"(\S+?):(\d+):\d+: error", line)
        if match:
            say(match.group(1), int(match.group(2)), "clang-format would change this")


def main():
    troubles = []

    def say(name, number, what):
        troubles.append(f"{name}:{number}: {what}")

    names = sources()
    for name in names:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        code = code_of(text)
        check_includes(name, text, say)
        check_calls(name, code, say)
        check_lengths(name, text, code, say)
        check_guard(name, text, say)
    check_format(names, say)
    print("\n".join(troubles))
    print(f"{len(names)} files, {len(troubles)} troubles")
    return 1 if troubles or not names else 0


if __name__ == "__main__":
    sys.exit(main())
