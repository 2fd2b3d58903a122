"""What a report costs a fleet, by the number of partitions of its topic.

1, 3, 12 and 48 partitions, each with a collector and a loader of its own as processes (see
`processes`): 200 agents send 100 reports a second for 6 seconds, 100 tallies each, as routers do.
`partitions/cpu_N`: CPU of collector and loader for a report, until the last one is in the store,
less what both cost while nothing happens; that is in the remarks, with the store's own.
`partitions/behind_N`: seconds from the last answer until its report and all others are in the store.
`partitions/memory_*`: resident, after 48 partitions.

What grows with partitions are the ranges: each is a commit with its intent and an insert of its own.
The loader does not let that cost grow with them: inserts of a topic keep their interval (half a
second without a backlog) over all its partitions, so that with more of them each waits longer and
its batch is larger.  What grows instead is how far the store is behind: a partition's turn comes
after that of all others.
"""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Iterator

from faults.member import Member

from forebay.core import wire
from forebay.core.record import columns_of

from . import traffic
from .client import drive, request
from .ingest import headers
from .processes import Measured, cpu, loaded, measured, mebibytes, metric, pid, surroundings, token
from .result import Result

PARTITIONS = (1, 3, 12, 48)
AGENTS, PER_SECOND, SECONDS, IDLE = 200, 100, 6, 2.0


def run() -> Iterator[Result]:
    requests = reports(token("shop"), AGENTS, PER_SECOND * SECONDS // AGENTS + 1)
    costs: list[float] = []
    with surroundings() as (folder, broker, front):
        for partitions in PARTITIONS:
            with measured(folder, broker, front, f"p{partitions}", partitions) as fleet:
                collector, loader = fleet.start("collect"), fleet.start("load")
                result, behind = _measure(fleet, collector, loader, requests, partitions)
                costs.append(result.value)
                yield from (result, behind)
                if partitions == PARTITIONS[-1]:
                    for member in (collector, loader):
                        yield Result(f"partitions/memory_{member.command}", mebibytes(pid(member)), "MiB", "resident")
    yield Result("partitions/growth", costs[-1] / costs[0], "× CPU per report", "48 partitions against 1")


def _measure(
    fleet: Measured, collector: Member, loader: Member, requests: list[bytes], partitions: int
) -> tuple[Result, Result]:
    drive(collector.port, requests[:AGENTS], 4, total=AGENTS)
    loaded(loader, AGENTS)
    processes = (pid(collector), pid(loader), fleet.store_pid)
    begun = [cpu(process) for process in processes]
    time.sleep(IDLE)
    idle = [(cpu(process) - before) / IDLE for process, before in zip(processes, begun, strict=True)]
    inserts = metric(loader, "forebay_loader_inserts")
    before, began = [cpu(process) for process in processes], time.monotonic()
    count = PER_SECOND * SECONDS
    drive(collector.port, requests[AGENTS:], 8, per_second=PER_SECOND, total=count)
    sent = time.monotonic()
    loaded(loader, AGENTS + count)
    done = time.monotonic()
    collecting, loading, storing = (
        (cpu(process) - since - quiet * (done - began)) / count * 1e3
        for process, since, quiet in zip(processes, before, idle, strict=True)
    )
    inserts = metric(loader, "forebay_loader_inserts") - inserts
    spent = f"collector {collecting:.2f}, loader {loading:.2f}; the store {storing:.2f}; {inserts:.0f} inserts"
    still = f"idle, a second: {idle[0] * 1e3:.0f} and {idle[1] * 1e3:.0f} ms"
    return (
        Result(f"partitions/cpu_{partitions}", collecting + loading, "ms CPU per report", f"{spent}; {still}"),
        Result(f"partitions/behind_{partitions}", done - sent, "s", "from the last answer until all is in the store"),
    )


def reports(write: str, agents: int, each: int) -> list[bytes]:
    """Each agent's first, then each one's second …"""
    chance = random.Random(7)
    now = int(time.time()) // 60
    shapes = [operation.shape().id() for operation in traffic.operations(300, fields=5)]
    pick = traffic.popular(chance, len(shapes))
    made = []
    for sequence in range(1, each + 1):
        for agent in range(agents):
            tallies = traffic.tallies(chance, shapes, pick, now, 100)
            push = wire.Push(agent=f"router-{agent}", sequence=sequence, **columns_of(tallies))  # type: ignore[arg-type]
            made.append(request(wire.PATH, headers(write, "application/json"), gzip.compress(wire.encode(push), 1)))
    return made
