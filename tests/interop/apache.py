"""Apache RocketMQ's own nameserver and broker as child processes, for tests of our client."""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from cluster import wait_for  # noqa: E402
from ports import port_run  # noqa: E402
from remoting import Connection  # noqa: E402

CLUSTER_INFO = 106
BROKER = "apache-a"
START_SECONDS = 60

# The broker is made for bigger machines. Checks come within seconds, as in our own tests.
BROKER_SETTINGS = {
    "brokerClusterName": "ApacheCluster",
    "brokerName": BROKER,
    "brokerId": 0,
    "brokerIP1": "127.0.0.1",
    "bindAddress": "127.0.0.1",
    "autoCreateTopicEnable": "true",
    "enablePropertyFilter": "true",
    "recallMessageEnable": "true",
    "mappedFileSizeCommitLog": 64 << 20,
    "mappedFileSizeConsumeQueue": 600000,
    "maxHashSlotNum": 10000,
    "maxIndexNum": 40000,
    "mappedFileSizeTimerLog": 1 << 20,
    # By default it is "busy" after 200 ms, which a JVM that is still warming up often is.
    "waitTimeMillsInSendQueue": 5000,
    "osPageCacheBusyTimeOutMills": 5000,
    "transactionTimeOut": 2000,
    "transactionCheckInterval": 2000,
    # A message that its consumer failed on comes again after the third of these, not after 10 s.
    "messageDelayLevel": "1s 1s 2s 4s 8s 16s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m",
    # It notes outcomes in batches; checks must not overtake them, else it commits twice.
    "transactionOpBatchInterval": 200,
}


class Apache:
    """One nameserver and one broker. Use as a context manager."""

    def __init__(self, version):
        self.jars = built(version)
        self.directory = tempfile.mkdtemp(prefix="raftmq-apache-")
        self.nameserver_port = port_run(1)
        self.port = port_run(4) + 2  # It listens two below and one above as well.
        self.processes = []

    @property
    def namesrv(self):
        return f"127.0.0.1:{self.nameserver_port}"

    def __enter__(self):
        try:
            self._start("namesrv.NamesrvStartup", {
                "listenPort": self.nameserver_port,
                "bindAddress": "127.0.0.1",
            }, heap="64m")
            wait_for("the nameserver", self._brokers, START_SECONDS)
            self._start("broker.BrokerStartup", {
                **BROKER_SETTINGS,
                "namesrvAddr": self.namesrv,
                "listenPort": self.port,
                "haListenPort": self.port + 1,
                "storePathRootDir": os.path.join(self.directory, "store"),
                "storePathCommitLog": os.path.join(self.directory, "store", "commitlog"),
            }, heap="384m")
            wait_for("the broker", lambda: BROKER in self._brokers(), START_SECONDS)
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def __exit__(self, failed, *_):
        for process in reversed(self.processes):
            process.kill()  # Its data is thrown away: no need for an orderly stop.
            process.wait()
        if failed:
            print(f"\nlogs are kept in {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _brokers(self):
        """What the nameserver knows, in Apache's own JSON: keys that are numbers are not quoted."""
        for process in self.processes:
            if process.poll() is not None:
                raise AssertionError(f"{process.args[-3]} ended with {process.returncode}")
        with Connection(self.namesrv, timeout=2.0) as connection:
            return connection.invoke(CLUSTER_INFO).body.decode()

    def _start(self, main, settings, heap):
        name = main.split(".")[0]
        # Version 4.9 does not start without; 5.x brings its own.
        os.makedirs(os.path.join(self.directory, "conf"), exist_ok=True)
        with open(os.path.join(self.directory, "conf", f"logback_{name}.xml"), "w") as file:
            file.write("<configuration/>\n")
        configuration = os.path.join(self.directory, f"{name}.conf")
        with open(configuration, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())
        arguments = [
            "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Xmx{heap}",
            "-XX:MaxDirectMemorySize=1g",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
            "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
            f"-Duser.home={self.directory}", f"-Drocketmq.home.dir={self.directory}",
            "-cp", f"{self.jars}/*", f"org.apache.rocketmq.{main}", "-c", configuration,
        ]
        with open(os.path.join(self.directory, f"{name}.log"), "ab") as log:
            self.processes.append(subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def built(version):
    """Where tests/run puts the jars."""
    return os.path.join(os.environ.get("RAFTMQ_INTEROP", ""), f"apache-{version}")


def is_built(version):
    return os.path.isdir(built(version)) and shutil.which("java") is not None
