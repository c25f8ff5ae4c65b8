"""The disk under a node: its control file, and power cuts.

The preloaded shim (shim/shim.h) writes down what was there before each write that is not yet
synced. After the process was killed, cut() takes such writes back: all, none, or by sectors of 512
bytes as chance has it, as a disk does that loses power. Names behave the same in the order of
their changes.
"""

import mmap
import os
import struct

SECTOR = 512
RECORD = struct.Struct("<IHHHHQQQQQQ")
MAGIC = 0x4A514D52
WRITE, SYNC, CREATE, RENAME, UNLINK, DIR_SYNC, TRUNCATE = range(1, 8)
MOODS = ["all lost", "by chance", "by chance", "all kept"]


class Control:
    """struct fault_control, mapped."""

    FIELDS = {"sync_delay_ms": 8, "sync_error": 12, "write_error": 16, "lie": 20, "syncs": 24,
              "writes": 28}
    SIZE = 64

    def __init__(self, path):
        with open(path, "ab") as file:
            file.truncate(self.SIZE)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), self.SIZE)

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("<I", self.map, self.FIELDS[name], value)

    def get(self, name):
        return struct.unpack_from("<I", self.map, self.FIELDS[name])[0]

    def clear(self):
        self.set(sync_delay_ms=0, sync_error=0, write_error=0, lie=0)


class Record:
    """One line of the journal."""

    def __init__(self, header, path, other, data, raw):
        (_, self.type, _, _, _, self.sequence, self.inode, self.offset, self.length, self.size,
         _) = header
        self.path = path.decode()
        self.other = other.decode()
        self.data = data
        self.raw = raw

    def directory(self):
        return os.path.dirname(self.path)


def read_journal(path):
    """Records in their order. One that the kill cut short told of nothing that was done."""
    records = []
    if not os.path.exists(path):
        return records
    with open(path, "rb") as file:
        while True:
            start = file.read(RECORD.size)
            if len(start) < RECORD.size:
                return records
            header = RECORD.unpack(start)
            if header[0] != MAGIC:
                raise ValueError(f"{path} is no journal of the shim")
            path_size, other_size, data_size = header[2], header[3], header[10]
            rest = file.read(path_size + other_size + data_size)
            if len(rest) < path_size + other_size + data_size:
                return records
            records.append(Record(header, rest[:path_size], rest[path_size:path_size + other_size],
                                  rest[path_size + other_size:], start + rest))


def pending(records):
    """Those that no sync covers. An inode that is created anew has nothing to do with the file
    that had its number before."""
    synced, synced_names = {}, {}
    for record in records:
        if record.type == SYNC:
            synced[record.inode] = max(synced.get(record.inode, 0), record.offset)
        elif record.type == DIR_SYNC:
            synced_names[record.path] = max(synced_names.get(record.path, 0), record.offset)
        elif record.type == CREATE:
            synced[record.inode] = max(synced.get(record.inode, 0), record.sequence)
    left = []
    for record in records:
        if record.type in (WRITE, TRUNCATE):
            if record.sequence > synced.get(record.inode, 0):
                left.append(record)
        elif record.type in (CREATE, RENAME, UNLINK):
            if record.sequence > synced_names.get(record.directory(), 0):
                left.append(record)
    return left


def compact(journal):
    """Forget what is durable; between two lives of the process."""
    left = pending(read_journal(journal))
    kept = {r.data for r in left if r.type in (RENAME, UNLINK)}
    with open(journal, "wb") as file:
        file.write(b"".join(record.raw for record in left))
    forget_files(journal, kept)


def forget_files(journal, kept=()):
    """Remove the links by which the shim kept files."""
    folder, name = os.path.split(journal)
    for entry in os.listdir(folder):
        path = os.path.join(folder, entry)
        if entry.startswith(name + ".") and path.encode() not in kept:
            os.remove(path)


def inodes(root):
    """Paths of all files by inode number."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[os.stat(path).st_ino] = path
    return found


def move(source, target):
    """Unless the folder that it was in has another name by now, or is gone: then it stays lost."""
    if os.path.isdir(os.path.dirname(target)) and os.path.exists(source):
        os.rename(source, target)


def undo_name(record):
    is_there = os.path.exists(record.path) and os.stat(record.path).st_ino == record.inode
    if record.type == CREATE and is_there:
        os.remove(record.path)
    elif record.type == RENAME and is_there:
        move(record.path, record.other)
    if record.type in (RENAME, UNLINK) and record.data:
        move(record.data.decode(), record.path)


def undo_names(records, mood, chance):
    """Of the changes of names a prefix in time stays."""
    names = [r for r in records if r.type in (CREATE, RENAME, UNLINK)]
    stay = {"all lost": 0, "all kept": len(names)}.get(mood)
    if stay is None:
        stay = chance.randint(0, len(names))
    for record in reversed(names[stay:]):
        undo_name(record)
    return len(names) - stay


def restore(file, record, mood, chance):
    """Put back what was there before one write, or part of it."""
    before = record.data.ljust(record.length, b"\0")
    at, end = record.offset, record.offset + record.length
    while at < end:
        stop = min(at - at % SECTOR + SECTOR, end) if mood == "by chance" else end
        if mood == "all lost" or chance.random() < 0.5:
            file.seek(at)
            file.write(before[at - record.offset:stop - record.offset])
        at = stop


def undo_content(root, records, mood, chance):
    """Writes in reverse order; what grew shrinks again, or reads as zeros where it was lost."""
    if mood == "all kept":
        return 0
    paths = inodes(root)
    sizes = {}
    count = 0
    for record in reversed(records):
        if record.type not in (WRITE, TRUNCATE) or record.inode not in paths:
            continue
        count += 1
        with open(paths[record.inode], "r+b") as file:
            restore(file, record, mood, chance)
        sizes[record.inode] = record.size  # Of the first one, in the end.
    for inode, size in sizes.items():
        shrinks = mood == "all lost" or chance.random() < 0.5
        if shrinks and os.path.getsize(paths[inode]) != size:
            os.truncate(paths[inode], size)
    return count


def cut(root, journal, chance, mood=None):
    """Take back what was not synced; returns a text that says how much that was."""
    left = pending(read_journal(journal))
    mood = mood or chance.choice(MOODS)
    names = undo_names(left, mood, chance)
    writes = undo_content(root, left, mood, chance)
    with open(journal, "wb"):
        pass
    forget_files(journal)
    return f"{mood}: {writes} writes and {names} names taken back"
