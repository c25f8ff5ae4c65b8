"""A disk that fills up: messages are refused before anything breaks, decisions are still taken, and
everything goes on by itself when there is room again."""

import os
import subprocess
import unittest

from cluster import Cluster, wait_for
from remoting import read_queue, send_fields
from test_failover import decide, send_half

MIB = 1024 * 1024


class SmallDisk:
    """A tmpfs; skips the test where it cannot be had."""

    def __init__(self, place, size):
        self.place = place
        os.mkdir(place)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place],
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest("mounting a tmpfs needs root, and a system that lets it")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.place], check=True)

    def free(self):
        state = os.statvfs(self.place)
        return state.f_bavail * state.f_frsize


class FullDisk(unittest.TestCase):
    def test_writes_stop_in_time_and_resume(self):
        reserve = 64 * MIB
        cluster = Cluster(nodes=1, groups=1, settings={"diskReserveSize": reserve})
        with SmallDisk(os.path.join(cluster.directory, "small"), "400m") as disk:
            cluster.settings["storePathRootDir"] = os.path.join(disk.place, "node")
            with cluster:
                cluster.wait_ready()
                with cluster.connect("broker-a") as connection:
                    self.fill_and_empty(cluster, connection, disk, reserve)
                cluster.stop(1)

    def fill_and_empty(self, cluster, connection, disk, reserve):
        connection.invoke(310, send_fields("T", 0, {}), b"before")
        half = send_half(connection, "U1", "T")
        ballast = os.path.join(disk.place, "ballast")
        with open(ballast, "wb") as file:
            file.write(bytes(disk.free() - reserve // 2))

        def refused():
            frame = connection.invoke(310, send_fields("T", 0, {}), b"x", expect=None)
            return frame.code == 14 and "disk" in frame.remark

        wait_for("sends to be refused with 14", refused)
        self.assertIn("disk nearly full", cluster.log(1))
        decide(connection, half, 8)  # What was begun can be ended.
        os.remove(ballast)

        def taken():
            return connection.invoke(
                310, send_fields("T", 0, {}), b"after", expect=None).code == 0

        wait_for("sends to be taken again", taken)
        bodies = [m.body for m in read_queue(connection, "T", 0)]
        self.assertEqual(bodies[0], b"before")
        self.assertIn(b"U1", bodies)
        self.assertEqual(bodies[-1], b"after")


if __name__ == "__main__":
    unittest.main()
