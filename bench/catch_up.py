"""How long a fleet takes to load an hour's backlog, while live traffic goes on.

100 routers with a report each ten seconds, 100 tallies of 300 operations × 4 clients in each, 10
reports a second: an hour is 36,000 reports, put into Kafka beforehand.  A collector takes the live
traffic, at the same rate, from before the one loader starts until the last record of the hour is
loaded: `catch_up/seconds`, and `catch_up/times` what passes meanwhile at the live rate.  A console
is asked every half a second, from the first insert on, who the clients of the graph are:
`catch_up/answers` is the slowest answer, all of them must be 200.

`catch_up/rate`: tallies per CPU second of the loader's process (the store is another one; its share
is in the remarks).  `catch_up/memory`: the most that the loader ever had.  `catch_up/disk`: what Kafka
keeps of a million such reports on each replica, by the topic's files.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from faults.member import Member

from forebay.core.record import TALLIES, TOPICS, Report, columns_of, encode
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Message
from forebay.settings import KafkaSettings

from . import traffic
from .client import drive
from .partitions import reports
from .processes import Measured, cpu, loaded, measured, mebibytes, metric, pid, surroundings, token
from .result import Result

ROUTERS, PER_SECOND, HOUR, TALLIES_EACH = 100, 10, 3_600, 100
DISTINCT = 1_000
LIVE = 1_500  # reports: for two minutes and a half


def run() -> Iterator[Result]:
    with surroundings() as (folder, broker, front), measured(folder, broker, front, "catch_up") as fleet:
        fill(broker.settings())
        yield from _measure(fleet, folder)


def _measure(fleet: Measured, folder: Path) -> Iterator[Result]:
    backlog = PER_SECOND * HOUR
    logs = [path for path in (folder / "kafka").rglob("*.log") if path.parent.name.startswith(TALLIES)]
    disk = sum(path.stat().st_size for path in logs) / backlog
    collector, console = fleet.start("collect"), fleet.start("console")
    stopping = threading.Event()
    requests = reports(token("shop"), ROUTERS, LIVE // ROUTERS)
    live = threading.Thread(target=_live, args=(collector.port, requests, stopping))
    answers: list[float] = []
    asking = threading.Thread(target=_ask, args=(console, stopping, answers))
    live.start()
    try:
        before, begun = cpu(fleet.store_pid), time.monotonic()
        loader = fleet.start("load")
        loaded(loader, 1)
        asking.start()
        loaded(loader, backlog, within=150)
        took = time.monotonic() - begun
        storing, loading = cpu(fleet.store_pid) - before, cpu(pid(loader))
        tallies = metric(loader, "forebay_loader_records") * TALLIES_EACH
        inserts = metric(loader, "forebay_loader_inserts")
    finally:
        stopping.set()
        live.join()
        asking.join()
    yield Result(
        "catch_up/seconds",
        took,
        "s",
        f"an hour of {PER_SECOND} reports/s, {PER_SECOND * HOUR * TALLIES_EACH:,} tallies",
    )
    yield Result("catch_up/times", HOUR / took, "× the live rate", f"{inserts:.0f} inserts")
    spent = f"the loader's start included; store {storing:.1f} s, loader {loading:.1f} s"
    yield Result("catch_up/rate", tallies / loading, "tallies per CPU second of the loader", spent)
    yield Result("catch_up/memory", mebibytes(pid(loader), "VmHWM"), "MiB", "the most that the loader had")
    yield Result("catch_up/answers", max(answers) * 1e3, "ms", f"the slowest of {len(answers)} answers")
    yield Result("catch_up/disk", disk * 1e6 / 2**30, "GiB in Kafka", "a million reports, each replica")


def _live(port: int, requests: list[bytes], stopping: threading.Event) -> None:
    for request in range(0, LIVE, PER_SECOND):
        if not stopping.is_set():
            drive(port, requests[request : request + PER_SECOND], 4, per_second=PER_SECOND, total=PER_SECOND)


def _ask(console: Member, stopping: threading.Event, answers: list[float]) -> None:
    while not stopping.wait(0.5):
        begun = time.monotonic()
        of = {"org": "bench", "graph": "shop", "window": "1d"}
        httpx.get(f"{console.url}/api/v1/clients", params=of, timeout=60).raise_for_status()
        answers.append(time.monotonic() - begun)


def fill(settings: KafkaSettings) -> None:
    """An hour of reports that ends now; the tallies of a thousand of them are met again and again."""
    chance = random.Random(9)
    shapes = [operation.shape().id() for operation in traffic.operations(300, fields=5)]
    pick = traffic.popular(chance, len(shapes))
    now = int(time.time())
    columns = [columns_of(traffic.tallies(chance, shapes, pick, 0, TALLIES_EACH)) for _ in range(DISTINCT)]
    journal = KafkaJournal(settings, TOPICS)
    appended = []
    for number in range(PER_SECOND * HOUR):
        at = now - HOUR + number // PER_SECOND
        report = Report(
            org="bench",
            graph="shop",
            source="native",
            received=at * 1000,
            agent=f"backlog-{number % ROUTERS}",
            sequence=number // ROUTERS + 1,
            **columns[number % DISTINCT] | {"minute": [at // 60] * TALLIES_EACH},  # type: ignore[arg-type]
        )
        appended.append(journal.append([Message(TALLIES, f"bench/shop/{report.agent}", encode(report))]))
    for each in appended:
        each.result()
    journal.close()
