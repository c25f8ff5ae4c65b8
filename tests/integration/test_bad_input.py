"""What strangers and broken clients can send: a clear answer or a closed connection, and the next
client is served."""

import os
import socket
import struct
import subprocess
import unittest

from cluster import BINARIES, Cluster, wait_for
from one_cluster import OneCluster
from remoting import Connection, encode, pull, send_fields


def closed_after(address, data):
    """Send bytes; true if the other end closes the connection."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(data)
        try:
            while raw.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except socket.timeout:
            return False
        return True


class BadInput(OneCluster):
    options = {"nodes": 1, "groups": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.address = cls.cluster.address(1, "broker-a")

    def tearDown(self):
        with Connection(self.address) as connection:
            connection.invoke(310, send_fields("T", 0, {}), b"served")
        self.assertTrue(self.cluster.running(1))

    def test_frames_that_cannot_be_close_the_connection(self):
        for length in (-1, 0, 3, 16 * 1024 * 1024, 0x7FFFFFFF):
            frame = struct.pack(">iI", length, 0) + b"x" * 64
            self.assertTrue(closed_after(self.address, frame), length)

    def test_header_longer_than_its_frame(self):
        self.assertTrue(closed_after(self.address, struct.pack(">II", 20, 500) + b"{" * 32))

    def test_headers_that_are_no_json(self):
        for text in (b"", b"nonsense", b'{"code":', b'{"code":"ten"}', b"[1]", b"\xff" * 20):
            frame = struct.pack(">II", 4 + len(text), len(text)) + text
            self.assertTrue(closed_after(self.address, frame), text)

    def test_unknown_serialize_type(self):
        frame = encode(310, {})
        self.assertTrue(closed_after(self.address, frame[:4] + b"\x07" + frame[5:]))

    def test_tls_is_refused_clearly(self):
        self.assertTrue(closed_after(self.address, b"\x16\x03\x01\x02\x00" + b"\x00" * 64))
        wait_for("a line about TLS", lambda: "TLS" in self.cluster.log(1))

    def test_unknown_and_unsupported_codes(self):
        with Connection(self.address) as connection:
            for code in (999, 223, 200056):
                frame = connection.invoke(code, {}, expect=None)
                self.assertEqual(frame.code, 3)
                self.assertIn(str(code), frame.remark)

    def test_names(self):
        with Connection(self.address) as connection:
            for name in ("", "../x", "a\x00b", "x" * 128, "y" * 65536, "a b", "ä"):
                frame = connection.invoke(310, send_fields(name, 0, {}), b"x", expect=None)
                self.assertEqual(frame.code, 29, name[:20])

    def test_bodies_beyond_the_limit(self):
        with Connection(self.address) as connection:
            body = b"x" * (4 * 1024 * 1024 + 1)
            self.assertEqual(
                connection.invoke(310, send_fields("T", 0, {}), body, expect=None).code, 13
            )

    def test_properties_beyond_the_limit(self):
        with Connection(self.address) as connection:
            fields = send_fields("T", 0, {"KEYS": "k" * 33000})
            self.assertEqual(connection.invoke(310, fields, b"x", expect=None).code, 13)

    def test_pulls_with_impossible_places(self):
        with Connection(self.address) as connection:
            connection.invoke(310, send_fields("P1", 0, {}), b"x")
            self.assertEqual(pull(connection, "P1", -1, 0).code, 29)
            self.assertEqual(pull(connection, "P1", 4711, 0).code, 29)
            self.assertEqual(pull(connection, "P1", 0, -5).code, 21)
            self.assertEqual(pull(connection, "P1", 0, 2**62).code, 21)
            self.assertEqual(pull(connection, "nothing", 0, 0).code, 17)

    def test_end_transaction_for_what_does_not_exist(self):
        fields = {
            "producerGroup": "P",
            "tranStateTableOffset": "0",
            "commitLogOffset": "123456",
            "commitOrRollback": "8",
            "msgId": "x",
        }
        with Connection(self.address) as connection:
            self.assertEqual(connection.invoke(37, fields, expect=None).code, 1)
            fields["commitLogOffset"] = "-1"
            self.assertEqual(connection.invoke(37, fields, expect=None).code, 29)
            del fields["commitLogOffset"]
            self.assertEqual(connection.invoke(37, fields, expect=None).code, 29)

    def test_a_connection_that_only_begins_a_frame_costs_little(self):
        host, port = self.address.rsplit(":", 1)
        held = []
        for _ in range(50):
            raw = socket.create_connection((host, int(port)))
            raw.sendall(struct.pack(">II", 16 * 1024 * 1024 - 4, 100))
            held.append(raw)
        status = f"/proc/{self.cluster.processes['node-1'].pid}/status"
        with open(status) as text:
            rss = next(int(l.split()[1]) for l in text if l.startswith("VmRSS"))
        self.assertLess(rss, 800 * 1024)  # KiB; 50 announced frames would be 800 MiB.
        for raw in held:
            raw.close()

    def test_a_stranger_on_the_raft_port(self):
        port = self.cluster.node_ports[1] + self.cluster.group_count
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 64, encode(310, {}), os.urandom(4096)):
            self.assertTrue(closed_after(f"127.0.0.1:{port}", data))


class BadStart(unittest.TestCase):
    """A node that cannot start says why in one line, names the next step, and ends."""

    def start(self, cluster, **changes):
        arguments = cluster.node_arguments(1)
        for key, value in changes.items():
            arguments += ["--set", f"{key}={value}"]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_a_second_process_on_the_same_data(self):
        with Cluster(nodes=1, groups=1) as cluster:
            cluster.wait_ready()
            self.assertIn("another process uses the data directory", self.start(cluster))
            self.assertTrue(cluster.running(1))

    def test_a_directory_that_cannot_be_used(self):
        cluster = Cluster(nodes=1, groups=1)
        said = self.start(cluster, storePathRootDir="/proc/raftmq")
        self.assertIn("cannot create the data directory", said)
        said = self.start(cluster, storePathRootDir="/nowhere/at/all")
        self.assertIn("cannot create the data directory", said)

    def test_a_port_that_is_taken(self):
        cluster = Cluster(nodes=1, groups=1)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", cluster.node_ports[1]))
            taken.listen()
            self.assertIn("cannot listen", self.start(cluster))

    def test_bad_settings(self):
        cluster = Cluster(nodes=1, groups=1)
        self.assertIn("nodeId", self.start(cluster, nodeId=0))
        self.assertIn("no group", self.start(cluster, nodeId=77))
        self.assertIn("a node is", self.start(cluster, nodes="1@nowhere"))
        self.assertIn("brokerClusterName", self.start(cluster, brokerClusterNam="x"))

    def test_another_groups_data(self):
        with Cluster(nodes=1, groups=1) as cluster:
            cluster.wait_ready()
            cluster.stop(1)
            said = self.start(cluster, brokerClusterName="Other")
            self.assertIn("another", said)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_a_full_disk_at_start(self):
        cluster = Cluster(nodes=1, groups=1)
        place = os.path.join(cluster.directory, "small")
        os.mkdir(place)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place],
            capture_output=True,
            check=False,
        )
        if mounted.returncode != 0:
            self.skipTest("this system does not let us mount a tmpfs")
        try:
            said = self.start(cluster, storePathRootDir=place)
            self.assertRegex(said, "(?i)no space|disk is full")
        finally:
            subprocess.run(["umount", place], check=True)


class Programs(unittest.TestCase):
    def test_help_version_and_wrong_options(self):
        for name in ("raftmq-broker", "raftmq-nameserver"):
            path = os.path.join(BINARIES, name)
            for option, text in (("--help", "Usage"), ("--version", name)):
                done = subprocess.run([path, option], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0)
                self.assertIn(text, done.stdout)
            done = subprocess.run([path, "--nonsense"], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
