"""Which queues each strategy of the Java client gives to whom: from the sorted lists of both.

A queue is (broker name, id), where a broker's name may be "room@name"; a member is its client id,
"address@room-name".
"""

import bisect
import hashlib

VIRTUAL_NODES = 10


def averagely(queues, members, _):
    """Neighbours to one member; the first ones get one more if there is a rest."""
    each, rest = divmod(len(queues), len(members))
    shares = {}
    at = 0
    for i, member in enumerate(members):
        count = each + (1 if i < rest else 0)
        shares[member] = queues[at:at + count]
        at += count
    return shares


def by_circle(queues, members, _):
    return {member: queues[i::len(members)] for i, member in enumerate(members)}


def by_config(queues, members, _):
    """As these tests configure it: by the last part of a member's name."""
    return {member: configured(queues, member) for member in members}


def configured(queues, member):
    """"…-1" gets the first third of the queues, and so on."""
    third = len(queues) // 3
    number = int(member[-1])
    return queues[(number - 1) * third:number * third]


def by_machine_room(queues, members, _):
    """Neighbours, as averagely; but what is left over comes from the end. All rooms are wanted."""
    each, rest = divmod(len(queues), len(members))
    shares = {}
    for i, member in enumerate(members):
        shares[member] = queues[i * each:(i + 1) * each]
        if i < rest:
            shares[member].append(queues[i + each * len(members)])
    return shares


def machine_room_nearby(queues, members, topic):
    """Averagely within each room; to all members if the room has none."""
    shares = {member: [] for member in members}
    for room in sorted({room_of_broker(broker) for broker, _ in queues}):
        there = [queue for queue in queues if room_of_broker(queue[0]) == room]
        near = [member for member in members if member.split("@")[1].split("-")[0] == room]
        for member, share in averagely(there, near or members, topic).items():
            shares[member] += share
    return shares


def room_of_broker(broker):
    return broker.split("@")[0]


def consistent_hash(queues, members, topic):
    """A queue belongs to the next member on a ring, on which each has several places."""
    ring = {place(f"{member}-{i}"): member for member in members for i in range(VIRTUAL_NODES)}
    places = sorted(ring)
    shares = {member: [] for member in members}
    for broker, number in queues:
        text = f"MessageQueue [topic={topic}, brokerName={broker}, queueId={number}]"
        at = bisect.bisect_left(places, place(text)) % len(places)
        shares[ring[places[at]]].append((broker, number))
    return shares


def place(text):
    return int.from_bytes(hashlib.md5(text.encode()).digest()[:4], "big")


STRATEGIES = {
    "AVG": averagely,
    "AVG_BY_CIRCLE": by_circle,
    "CONFIG": by_config,
    "MACHINE_ROOM": by_machine_room,
    "MACHINE_ROOM_NEARBY": machine_room_nearby,
    "CONSISTENT_HASH": consistent_hash,
}
