"""The demo, smaller and with the binaries under test: its audit must hold."""

import os
import subprocess
import sys
import unittest

from cluster import BINARIES

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "bank",
                    "demo.py")


class Demo(unittest.TestCase):
    def run_demo(self, *options):
        done = subprocess.run([sys.executable, DEMO, "--bin", BINARIES, *options],
                              capture_output=True, text=True, check=False, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("The audit holds.", done.stdout)
        return done.stdout

    def test_the_audit_holds(self):
        self.run_demo("--transfers", "200", "--leader-kills", "3", "--payer-kills", "2")

    def test_the_audit_holds_after_chaos(self):
        out = self.run_demo("--chaos", "20", "--seed", "8")
        self.assertIn("deleted all of its data", out)


if __name__ == "__main__":
    unittest.main()
