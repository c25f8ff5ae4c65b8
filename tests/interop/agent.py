"""Unmodified RocketMQ clients as child processes: one command a line, one answer a line."""

import base64
import os
import queue
import subprocess
import threading


class AgentError(Exception):
    """The client answered "error ..."."""


class Agent:
    """A client under command. Use as a context manager."""

    def __init__(self, arguments, log, directory=None):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            bufsize=1,
            cwd=directory,
        )
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._answer("ready", 60)

    def _read(self):
        for line in self.process.stdout:
            self.answers.put(line.strip())
        self.answers.put("error the client ended")

    def _answer(self, command, seconds):
        try:
            line = self.answers.get(timeout=seconds)
        except queue.Empty:
            raise AgentError(f"{command}: no answer within {seconds} s") from None
        if not line.startswith("ok"):
            raise AgentError(f"{command}: {line}")
        return line[3:].strip()

    def __call__(self, *words, seconds=60):
        command = " ".join(str(word) for word in words)
        self.process.stdin.write(command + "\n")
        return self._answer(command, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def mqadmin(self, *arguments):
        """What a subcommand of mqadmin prints."""
        words = [base64.b64encode(str(word).encode()).decode() for word in arguments]
        return base64.b64decode(self("mqadmin", *words)).decode()

    def seen(self, key):
        """How often a consumer of this agent got the message with that key."""
        return int(self("seen", key).split(" ")[0])


def java(version, cluster, fast=True, name="", options=()):
    """A Java client, with more options for Java."""
    built = os.path.join(os.environ["RAFTMQ_INTEROP"], f"java-{version}")
    home = os.path.join(cluster.directory, f"java-home{name}")
    tools = os.path.join(cluster.directory, "mqadmin")
    os.makedirs(os.path.join(tools, "conf"), exist_ok=True)
    with open(os.path.join(tools, "conf", "logback_tools.xml"), "w", encoding="ascii") as conf:
        conf.write("<configuration/>\n")  # mqadmin of 4.9 reads its logging from there.
    arguments = [
        "java", "-XX:+UseSerialGC", "-Xmx256m", f"-Duser.home={home}",
        f"-Drocketmq.home.dir={tools}", "-Djava.security.manager=allow",
        # A test is over before the better compiler has paid for itself.
        *(["-XX:TieredStopAtLevel=1"] if fast else []),
        "-Drocketmq.client.logLevel=WARN", *options, "-cp",
        f"{built}/interop-1.jar:{built}/lib/*", "raftmq.interop.Agent", cluster.namesrv,
    ]
    if fast:
        arguments.append("fast")
    log = os.path.join(cluster.directory, f"java-{version}{name}.log")
    return Agent(arguments, log, cluster.directory)


def java_built(version):
    root = os.environ.get("RAFTMQ_INTEROP", "")
    return os.path.exists(os.path.join(root, f"java-{version}", "interop-1.jar"))


def node(package, cluster, name):
    """A client for Node.js: ali-ons, or rocketmq."""
    here = os.path.dirname(os.path.abspath(__file__))
    modules = os.path.join(os.environ["RAFTMQ_INTEROP"], "node", "node_modules")
    return Agent(
        ["node", os.path.join(here, "node", "agent.js"), cluster.namesrv, modules, package],
        os.path.join(cluster.directory, f"{package}{name}.log"),
    )


def node_built(package):
    root = os.environ.get("RAFTMQ_INTEROP", "")
    return os.path.isdir(os.path.join(root, "node", "node_modules", package))
