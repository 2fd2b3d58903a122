"""What a process has cost so far, read from outside; and a fleet whose processes can be asked so.

The fleet is that of the tests: processes of the command line, a real Kafka of one broker, and the
ClickHouse engine behind HTTP, which is Python around it: its CPU is more than a server's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from faults.fleet import KEYS, Fleet
from faults.member import Member
from front.control import Front
from kafka.broker import Broker

from forebay.access import Identity, Scope, SigningKeys
from forebay.core.record import SCHEMAS, SHAPES, TALLIES, TOPICS
from forebay.store.clickhouse import ClickHouse
from forebay.store.window import window


def cpu(pid: int) -> float:
    """CPU seconds of all threads of this process, to the nanosecond: the kernel has a clock for each process."""
    return time.clock_gettime((~pid << 3) | 2)


def mebibytes(pid: int, of: str = "VmRSS") -> float:
    """Resident memory; `VmHWM` is the most that it ever was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{of}:"))


class Measured:
    """A fleet and what stands around it.  One at a time on a broker, because topics have fixed names."""

    def __init__(self, folder: Path, broker: Broker, front: Front, database: str, partitions: int) -> None:
        self.broker, self.front = broker, front
        self.fleet = Fleet(folder / database, broker, front, database)
        self.fleet.environment["FOREBAY_KAFKA_PARTITIONS"] = str(partitions)
        for topic, count in ((SCHEMAS, 1), (SHAPES, 1), (TALLIES, partitions)):
            broker.create(topic, count)
        store = ClickHouse(front.dsn(database))
        store.migrate(window(partitions + len(TOPICS) - 1, inserts_per_second=1, reach=900))
        store.close()

    def start(self, command: str) -> Member:
        return self.fleet.start(command)

    @property
    def store_pid(self) -> int:
        assert self.front.process
        return self.front.process.pid


@contextmanager
def surroundings() -> Iterator[tuple[Path, Broker, Front]]:
    """A Kafka and a ClickHouse, in a folder of their own."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        folder = Path(directory)
        broker = Broker(folder / "kafka")
        front = Front(folder / "clickhouse")
        try:
            front.start()
            yield folder, broker, front
        finally:
            front.kill()
            broker.cluster.remove()


@contextmanager
def measured(folder: Path, broker: Broker, front: Front, database: str, partitions: int = 8) -> Iterator[Measured]:
    """A fleet without members as yet; they are killed and the topics deleted in the end."""
    made = Measured(folder, broker, front, database, partitions)
    try:
        yield made
    finally:
        made.fleet.end()


def pid(member: Member) -> int:
    return int(member.process.pid)


def token(graph: str, scope: Scope = Scope.WRITE) -> str:
    return SigningKeys(dict([KEYS.split(":")])).create(Identity("bench", graph, scope), 3600)


def metric(member: Member, name: str) -> float:
    """The sum of a metric of this member over its labels."""
    lines = httpx.get(f"{member.url}/metrics", timeout=60).raise_for_status().text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def loaded(loader: Member, records: int, within: float = 90) -> None:
    """Wait until the loader has loaded so many records."""
    until = time.monotonic() + within
    while metric(loader, "forebay_loader_records") < records:
        if time.monotonic() > until:
            raise TimeoutError(f"the loader has not loaded {records} records in {within} s")
        time.sleep(0.1)
