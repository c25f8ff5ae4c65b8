"""Damage to a replica's files: which bit of which file, and what is to be expected of it."""

import os
import struct

SEGMENT_HEADER = 64
FRAME = struct.Struct("<4sIIIQQQQ")  # Magic, crc, size, crc, index, term, position, durable mark.
FRAME_HEADER = 56

MARK = struct.Struct("<4sIQIIQQQ")  # Magic, crc, sequence, size, version, index, term, position.

COMPLETE = "in a complete segment"
# Nothing vouches for it: a torn tail, at a start.
UNVOUCHED = "above the durable marks"

# What a replica may say when it refuses to start. Each tells the operator what it is about.
REFUSALS = [
    "the log is damaged where it was already synced",
    "the first segment's header",
    "contradicts its file",
    "was written by another version",
    "belongs to another",
    "cut.0 and cut.1",
    "vote",
    "the log ends",
    "membership",
]


class Target:
    """A place in a file."""

    def __init__(self, kind, path, offset):
        self.kind = kind
        self.path = path
        self.offset = offset

    def __str__(self):
        return f"{self.kind}: {os.path.basename(self.path)} at {self.offset}"


def frames(path):
    """(offset, size, durable mark) of the frames of a segment, up to the first that is none."""
    found = []
    with open(path, "rb") as file:
        at = SEGMENT_HEADER
        while True:
            file.seek(at)
            header = file.read(FRAME.size)
            if len(header) < FRAME.size:
                return found
            magic, _, size, _, _, _, _, mark = FRAME.unpack(header)
            if magic != b"RMQf":
                return found
            whole = (FRAME_HEADER + size + 7) // 8 * 8
            found.append((at, whole, mark))
            at += whole


def stored_mark(log):
    """Up to where a log's stored mark vouches for it; 0 without one."""
    found = (0, 0)
    for name in ("durable.0", "durable.1"):
        path = os.path.join(log, name)
        if os.path.exists(path) and os.path.getsize(path) == MARK.size:
            with open(path, "rb") as file:
                _, _, sequence, _, _, _, _, position = MARK.unpack(file.read())
            found = max(found, (sequence, position))
    return found[1]


def segment_targets(path, number, segment_size, last, mark, chance):
    """Places in a segment: where it vouches for itself, in its last frames, and behind them. A start
    does not read those that are complete."""
    found = frames(path)
    if not found:
        return []
    if not last:
        at = chance.choice(found)[0]
        return [Target(COMPLETE, path, chance.randrange(at, at + FRAME_HEADER + 1))]
    start = number * segment_size
    vouched = max(mark for _, _, mark in found) - start
    end = found[-1][0] + found[-1][1]
    targets = [Target("behind the log's end", path, chance.randrange(end, segment_size))]
    if vouched > 0:
        targets.append(Target("below the durable mark", path, chance.randrange(min(vouched, end))))
    stored = min(mark - start, end)
    if vouched < stored:
        targets.append(Target("below the stored mark", path,
                              chance.randrange(max(vouched, 0), stored)))
    if max(vouched, stored) < end:
        targets.append(Target(UNVOUCHED, path, chance.randrange(max(vouched, stored, 0), end)))
    return targets


def targets(folder, chance):
    """One place of each kind in a replica's folder (…/broker-a)."""
    found = []
    log = os.path.join(folder, "log")
    segments = sorted(n for n in os.listdir(log) if n.startswith("segment-"))
    for name in segments[-2:]:
        path = os.path.join(log, name)
        found += segment_targets(path, int(name.split("-")[1], 16), os.path.getsize(path),
                                 name == segments[-1], stored_mark(log), chance)
    for name in ("vote.0", "vote.1", "cut.0", "cut.1", "durable.0", "durable.1"):
        path = os.path.join(log, name)
        if os.path.exists(path) and os.path.getsize(path) > 0:
            found.append(Target(name.split(".")[0], path, chance.randrange(os.path.getsize(path))))
    store = os.path.join(folder, "store")
    for name in sorted(os.listdir(store)):
        path = os.path.join(store, name)
        if not name.startswith("LO") and os.path.getsize(path) > 0:
            found.append(Target("store", path, chance.randrange(os.path.getsize(path))))
    return found


def choose(folder, chance):
    """A place: each kind is as likely as the others."""
    found = targets(folder, chance)
    kind = chance.choice(sorted({target.kind for target in found}))
    return chance.choice([target for target in found if target.kind == kind])


def flip(target, chance):
    with open(target.path, "r+b") as file:
        file.seek(target.offset)
        byte = file.read(1)[0]
        file.seek(target.offset)
        file.write(bytes([byte ^ (1 << chance.randrange(8))]))
