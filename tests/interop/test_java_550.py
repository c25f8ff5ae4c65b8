"""RocketMQ's Java client of the 5.5 line, unmodified: what it can do, while leaders live."""

import unittest

from java_features import JavaFeatures, JavaRecalls


class Java550(JavaFeatures, JavaRecalls, unittest.TestCase):
    version = "5.5.0"


if __name__ == "__main__":
    unittest.main()
