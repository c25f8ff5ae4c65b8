"""A test case whose tests share one cluster."""

import unittest

from cluster import Cluster


class OneCluster(unittest.TestCase):
    """`options` are Cluster's. Its logs are kept if a test fails."""

    options = {}
    cluster = None
    failed = False

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(**cls.options)
        try:
            cls.cluster.__enter__()
            cls.cluster.wait_ready()
        except BaseException:
            cls.cluster.__exit__(True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(cls.failed)

    def run(self, result=None):
        before = result and len(result.failures) + len(result.errors)
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            type(self).failed = True
        return result
