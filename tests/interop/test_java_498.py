"""RocketMQ's Java client of the 4.9 line, unmodified: what both versions are asked (test_java.py)."""

import unittest

from test_java import JavaClient


class Java498(JavaClient, unittest.TestCase):
    version = "4.9.8"


if __name__ == "__main__":
    unittest.main()
