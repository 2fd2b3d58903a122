"""A real Apache Kafka cluster on loopback, for development and fault tests.

Installs the broker's jars with Maven (once), formats KRaft storage, starts one or more
brokers, and kills, pauses and restarts each of them.  Standard library only.

    cluster = Cluster.create(Path(".kafka/cluster"), brokers=3, config={"min.insync.replicas": "2"})
    cluster.start()
    cluster.bootstrap       # "127.0.0.1:40001,127.0.0.1:40002,127.0.0.1:40003"
    cluster.kill(2)         # SIGKILL
    cluster.start(2)        # same port, same data
    cluster.stop()

Promises: `start` returns when every node it started serves requests, else it raises with
the end of that node's log.  A node keeps its port and its data until `remove`.  A signal
goes only to a process whose pid this cluster wrote down and whose command line names this
cluster's configuration.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

POM = Path(__file__).resolve().with_name("pom.xml")
CACHE = Path(os.environ.get("KAFKA_CACHE", POM.parents[2] / ".kafka")).resolve()
JVM = os.environ.get("KAFKA_JVM", "-Xms128m -Xmx384m -XX:+UseSerialGC").split()
CLUSTER_ID = "Rm9yZWJheS1sb2NhbC1rYQ"  # 16 bytes in base64: the storage format asks for one
CONTROLLER = 100  # node id of the controller where it runs apart from the brokers

LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


class KafkaFailed(Exception):
    """What was asked could not be done; the message says why, and ends with a node's log where there is one."""


class Cluster:
    """A formatted cluster in a folder.  Its processes may be up or down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @classmethod
    def create(
        cls,
        folder: Path,
        brokers: int = 1,
        ports: list[int] | None = None,
        config: dict[str, str] | None = None,
        controller_apart: bool = False,
        links: dict[str, list[tuple[int, int]]] | None = None,
    ) -> Cluster:
        """Write the configuration of brokers 1..N and format their storage.

        Every broker is a controller too.  With `controller_apart` one more process is the
        only controller, so that killing brokers never costs the cluster its metadata quorum.
        `config` goes to every node and wins over what is set here.  `links` are more listeners,
        by name: for each broker the port that it listens on, and the one that it tells clients,
        which is that of a proxy.
        """
        cluster = cls(folder)
        if cluster.nodes():
            raise KafkaFailed(f"{folder} holds a cluster already: start it as it is, or remove it first")
        cluster.folder.mkdir(parents=True, exist_ok=True)
        (cluster.folder / "log4j2.properties").write_text(LOG4J)

        ids = list(range(1, brokers + 1))
        free = free_ports(2 * brokers + 1)
        client_port = dict(zip(ids, [*(ports or []), *free], strict=False))
        controllers = [CONTROLLER] if controller_apart else ids
        controller_port = dict(zip(controllers, free[brokers:], strict=False))
        replicas = min(3, brokers)
        for node in sorted({*ids, *controllers}):
            roles = ["broker"] * (node in client_port) + ["controller"] * (node in controller_port)
            listeners = [f"BROKER://127.0.0.1:{client_port[node]}"] if node in client_port else []
            advertised = listeners.copy()
            for name, ports_of in (links or {}).items() if node in client_port else ():
                listens, told = ports_of[ids.index(node)]
                listeners.append(f"{name}://127.0.0.1:{listens}")
                advertised.append(f"{name}://127.0.0.1:{told}")
            protocols = ",".join(f"{name}:PLAINTEXT" for name in ("BROKER", "CONTROLLER", *(links or {})))
            listeners += [f"CONTROLLER://127.0.0.1:{controller_port[node]}"] if node in controller_port else []
            settings = {
                "node.id": node,
                "process.roles": ",".join(roles),
                "listeners": ",".join(listeners),
                "listener.security.protocol.map": protocols,
                "inter.broker.listener.name": "BROKER",
                "controller.listener.names": "CONTROLLER",
                "controller.quorum.voters": ",".join(f"{c}@127.0.0.1:{p}" for c, p in controller_port.items()),
                "log.dirs": cluster.folder / f"node-{node}",
                "auto.create.topics.enable": "false",
                "default.replication.factor": replicas,
                "offsets.topic.replication.factor": replicas,
                "offsets.topic.num.partitions": 4,
                "transaction.state.log.replication.factor": replicas,
                "transaction.state.log.min.isr": 1,
                "share.coordinator.state.topic.replication.factor": replicas,
                "share.coordinator.state.topic.min.isr": 1,
                "group.initial.rebalance.delay.ms": 0,
                "log.cleaner.dedupe.buffer.size": 8 * 2**20,  # 128 MiB by default, a third of our heap
                **({"advertised.listeners": ",".join(advertised)} if links and advertised else {}),
                **(config or {}),
            }
            text = "".join(f"{key}={value}\n" for key, value in settings.items())
            cluster._file(node, "properties").write_text(text)
        cluster._format()
        return cluster

    def nodes(self) -> list[int]:
        """Ids of all nodes, brokers first."""
        return sorted(int(path.stem.split("-")[1]) for path in self.folder.glob("node-*.properties"))

    @property
    def bootstrap(self) -> str:
        """The brokers' addresses, as clients want them."""
        return ",".join(address for node in self.nodes() if (address := self.address(node)))

    def address(self, node: int) -> str | None:
        """Where clients reach this broker; None for a controller apart."""
        for line in self._file(node, "properties").read_text().splitlines():
            if line.startswith("listeners=BROKER://"):
                return line.removeprefix("listeners=BROKER://").split(",")[0]
        return None

    def start(self, *nodes: int, timeout: float = 90) -> None:
        """Start these nodes (all by default) and wait until they serve; those that run are left alone."""
        starting = {}
        for node in nodes or self.nodes():
            if self.pid(node) is None:
                log = self._file(node, "log")
                starting[node] = log.stat().st_size if log.exists() else 0
                self._file(node, "pid").write_text(self._spawn(node, log))
        begun = time.monotonic()
        for node, since in starting.items():
            while "Kafka Server started" not in (text := self._log_since(node, since)):
                waited = time.monotonic() - begun  # a process that has just been forked has no command line yet
                if waited > timeout or (waited > 1 and self.pid(node) is None):
                    raise KafkaFailed(f"node {node} did not start\n{text[-3000:]}")
                time.sleep(0.05)

    def stop(self, *nodes: int, grace: float = 20) -> None:
        """SIGTERM (a controlled shutdown); SIGKILL for what is still there after `grace` seconds.

        Stopped together, combined nodes lose their quorum midway: the last ones need the SIGKILL.
        """
        chosen = nodes or tuple(self.nodes())
        for node in chosen:
            self._signal(node, signal.SIGTERM)
            self._signal(node, signal.SIGCONT)
        deadline = time.monotonic() + grace
        while any(self.pid(node) for node in chosen) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill(*chosen)

    def kill(self, *nodes: int) -> None:
        """SIGKILL, and wait until the process is gone."""
        for node in nodes:
            self._signal(node, signal.SIGKILL)
        while any(self.pid(node) for node in nodes):
            time.sleep(0.01)
        for node in nodes:
            self._file(node, "pid").unlink(missing_ok=True)

    def pause(self, *nodes: int) -> None:
        """SIGSTOP: the node keeps its connections and answers nothing, as a hung machine does."""
        for node in nodes:
            self._signal(node, signal.SIGSTOP)

    def resume(self, *nodes: int) -> None:
        for node in nodes:
            self._signal(node, signal.SIGCONT)

    def remove(self) -> None:
        """Kill what runs and delete what `create` and the nodes wrote; the folder too if nothing else is in it."""
        self.kill(*self.nodes())
        for path in self.folder.glob("node-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.folder / "log4j2.properties").unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def pid(self, node: int) -> int | None:
        """The process of this node, if it runs and is ours."""
        try:
            pid = int(self._file(node, "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if str(self._file(node, "properties")).encode() in command else None

    def _file(self, node: int, kind: str) -> Path:
        return self.folder / f"node-{node}.{kind}"

    def _log_since(self, node: int, position: int) -> str:
        with self._file(node, "log").open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _signal(self, node: int, number: signal.Signals) -> None:
        if pid := self.pid(node):
            os.kill(pid, number)

    def _java(self, *arguments: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return ["java", *JVM, log4j, "-cp", f"{install()}/*", *arguments]

    def _spawn(self, node: int, log: Path) -> str:
        """Start a node detached from this process (own session, no child to reap); its pid as text."""
        command = self._java("kafka.Kafka", str(self._file(node, "properties")))
        script = 'log=$1; shift; setsid "$@" >>"$log" 2>&1 </dev/null & echo $!'
        return subprocess.check_output(["bash", "-c", script, "start", str(log), *command], text=True).strip()

    def _format(self) -> None:
        running = []
        for node in self.nodes():
            tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID]
            command = self._java(*tool, "-c", str(self._file(node, "properties")))
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        outputs = [process.communicate()[0].decode(errors="replace") for process in running]
        if failed := [output for process, output in zip(running, outputs, strict=True) if process.returncode]:
            self.remove()
            raise KafkaFailed(f"storage was not formatted\n{failed[0][-3000:]}")


def install() -> Path:
    """The folder with the jars; Maven fills it on the first call."""
    jars = CACHE / "jars"
    if not jars.exists():
        for tool in ("java", "mvn"):
            if not shutil.which(tool):
                raise KafkaFailed(f"{tool} is not on the PATH: install Java 17 or newer and Maven")
        partial = CACHE / f"jars-{os.getpid()}"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        if subprocess.run(["mvn", "-q", "-B", "-f", str(POM), *goal], stdout=sys.stderr).returncode:
            raise KafkaFailed("Maven did not fetch the jars: see its message above")
        try:
            partial.rename(jars)
        except OSError:  # another process was quicker
            shutil.rmtree(partial)
    return jars


def free_ports(count: int) -> list[int]:
    """Free ports of loopback, below those that the system lends to outgoing connections.

    One of the lent ones could be taken by a client while its broker is down.  None is given twice, nor by
    two workers of one test run: who was given it may not listen yet.
    """
    return list(itertools.islice(filter(_free, _ports()), count))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@cache
def _ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ours = range(15_000 + worker, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    return iter(random.sample(ours, len(ours)))


def main() -> None:
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--data", type=Path, default=CACHE / "cluster", help="the cluster's folder: %(default)s")
    parser = argparse.ArgumentParser(description="A real Apache Kafka cluster on loopback.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("install", help="fetch the broker's jars, if they are not there")
    up = verbs.add_parser("up", parents=[folder], help="create it if there is none, start it, print its addresses")
    up.add_argument("--brokers", type=int, default=1, help="default: %(default)s")
    up.add_argument("--port", type=int, action="append", dest="ports", help="of a broker, in order; default: free ones")
    up.add_argument("--controller-apart", action="store_true", help="one more process is the only controller")
    up.add_argument("config", nargs="*", metavar="key=value", help="configuration of every node")
    down = verbs.add_parser("down", parents=[folder], help="stop the cluster")
    down.add_argument("--remove", action="store_true", help="kill it and delete its data")
    verbs.add_parser("status", parents=[folder], help="every node with its address and pid")
    for verb in ("start", "stop", "kill", "pause", "resume"):
        one = verbs.add_parser(verb, parents=[folder], help=f"{verb} these nodes")
        one.add_argument("nodes", type=int, nargs="+", metavar="node")
    options = parser.parse_args()

    try:
        if options.verb == "install":
            install()
            return
        cluster = Cluster(options.data)
        if options.verb == "up":
            config = dict(item.split("=", 1) for item in options.config)
            if not cluster.nodes() or config:
                cluster = Cluster.create(options.data, options.brokers, options.ports, config, options.controller_apart)
            cluster.start()
            print(cluster.bootstrap)
        elif options.verb == "down":
            cluster.remove() if options.remove else cluster.stop()
        elif options.verb == "status":
            for node in cluster.nodes():
                print(node, cluster.address(node) or "controller", cluster.pid(node) or "down")
        else:
            getattr(cluster, options.verb)(*options.nodes)
    except KafkaFailed as failure:
        sys.exit(f"kafka: {failure}")


if __name__ == "__main__":
    main()
