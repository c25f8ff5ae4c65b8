"""What must hold in the end, on every replica."""

import collections

from history import COMMIT, digest
from remoting import Connection, read_queue
from workload import CONSUMER, PAID, PLAIN, QUEUES


def read_replica(world, history, node, group):
    """All queues of a replica: every message into the history; {(topic, queue): messages}."""
    found = {}
    with Connection(world.address(node, group), timeout=30.0) as connection:
        for topic, queues in ((PLAIN, QUEUES), (PAID, 1)):
            for queue in range(queues):
                read = read_queue(connection, topic, queue)
                found[topic, queue] = [(m.queue_offset, m.position, m.body) for m in read]
                for message in read:
                    history.saw((group, topic, queue, message.queue_offset), message.body,
                                f"node {node}, in the end")
                offsets = [m.queue_offset for m in read]
                if offsets != list(range(len(read))):
                    history.violate(f"{group}/{topic}/{queue}: offsets at node {node} have gaps")
    return found


def check_replicas(world, history, group):
    """Replicas hold the same; returns what one of them holds."""
    first = None
    for node in world.nodes:
        found = read_replica(world, history, node, group)
        if first is None:
            first = found
        for place, read in found.items():
            if read != first[place]:
                history.violate(f"{group}/{place[0]}/{place[1]}: node {node} holds other messages "
                                f"than node {world.nodes[0]}")
    return first


def check_acked(history, group, found):
    """Every acknowledged message is in its place; after a loss another one may be there."""
    for (owner, topic, queue, offset), body in list(history.acked.items()):
        read = found.get((topic, queue), [])
        if owner == group and (offset >= len(read) or digest(read[offset][2]) != body):
            history.violate(f"{group}/{topic}/{queue}: offset {offset} was acknowledged and is "
                            "lost")
            history.count("acknowledged messages lost")


def check_transactions(history, visible):
    """One outcome each: `visible` counts keys over all groups."""
    for key, transaction in history.transactions.items():
        times = visible.pop(key, 0)
        committed = transaction.decision == COMMIT
        if times > 1:
            history.violate(f"{key}: visible {times} times")
        elif times == 1 and not committed:
            history.violate(f"{key}: rolled back, but visible")
        elif times == 0 and committed and transaction.half_acked:
            history.violate(f"{key}: its half was acknowledged and it was committed, but it is not "
                            "visible")
    for key in visible:
        history.violate(f"{key}: visible, but nobody sent it")


def check_offsets(world, history):
    for (group, topic, queue), kept in history.offsets.items():
        with world.connect(group) as connection:
            frame = connection.invoke(14, {"consumerGroup": CONSUMER, "topic": topic,
                                           "queueId": str(queue)}, expect=None)
        offset = int(frame.fields["offset"]) if frame.code == 0 else -1
        if offset < kept:
            history.violate(f"{group}/{topic}/{queue}: consumer offset {offset}, {kept} was "
                            "acknowledged")


def check_hashes(world, history, group):
    """Replicas at the same index are in the same state."""
    states = set()
    for node in world.nodes:
        status = world.status(node, group, hash_too=True)
        states.add((status["appliedIndex"], status["stateHash"]))
    if len(states) != 1:
        history.violate(f"{group}: replicas differ: {sorted(states)}")


def check_all(world, history):
    """Call when the load has stopped and all replicas are level."""
    visible = collections.Counter()
    for group in world.group_names:
        found = check_replicas(world, history, group)
        check_acked(history, group, found)
        visible.update(body.decode() for _, _, body in found[PAID, 0])
        check_hashes(world, history, group)
    check_transactions(history, visible)
    check_offsets(world, history)
