"""What ten minutes without ClickHouse cost a loader: memory, and how it comes back.

A collector takes 50 reports of 100 tallies a second (see `partitions`), a loader loads them.  Then
every statement fails for ten minutes, the first half with 503, the second with nobody there, while reports go on;
they go on as well while the loader catches up.

`store_away/memory`: how much larger than before the loader ever was, in MiB: what it holds must not grow
with the backlog.  `store_away/caught_up`: seconds until the backlog is loaded; `store_away/times`: how much
faster than live that was.  `store_away/parts`: the most parts that a partition of a table had meanwhile:
ClickHouse refuses inserts at 3,000 by its defaults, and a loader slows down before 300.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from front.faults import Kind

from forebay.store.clickhouse import ClickHouse

from .client import drive
from .partitions import reports
from .processes import Measured, loaded, measured, mebibytes, metric, pid, surroundings, token
from .result import Result

AGENTS, PER_SECOND, AWAY, BEFORE = 100, 50, 600, 20
AFTER = 120
PARTS = "SELECT max(n) AS most FROM (SELECT count() AS n FROM system.parts WHERE active GROUP BY table, partition)"


def run() -> Iterator[Result]:
    with surroundings() as (folder, broker, front), measured(folder, broker, front, "away") as fleet:
        yield from _measure(fleet)


def _measure(fleet: Measured) -> Iterator[Result]:
    requests = reports(token("shop"), AGENTS, PER_SECOND * (BEFORE + AWAY + AFTER) // AGENTS)
    collector, loader = fleet.start("collect"), fleet.start("load")
    sent, stopping = [0], threading.Event()
    live = threading.Thread(target=_live, args=(collector.port, requests, sent, stopping))
    live.start()
    try:
        time.sleep(BEFORE)
        before = mebibytes(pid(loader), "VmHWM")
        held = metric(loader, "forebay_loader_records")
        with fleet.front.faulty(Kind.STATUS, 503, times=None, inserts=False):
            time.sleep(AWAY / 2)
        fleet.front.kill()
        time.sleep(AWAY / 2)
        backlog = sent[0]
        during = mebibytes(pid(loader), "VmHWM")
        fleet.front.start()
        begun, most = time.monotonic(), 0
        store = ClickHouse(fleet.front.dsn("away"))
        while metric(loader, "forebay_loader_records") < backlog:
            most = max(most, store.query(PARTS)[0]["most"])
            time.sleep(0.5)
        took = time.monotonic() - begun
        store.close()
    finally:
        stopping.set()
        live.join()
    loaded(loader, sent[0])
    after = mebibytes(pid(loader), "VmHWM")
    waited = f"{before:.0f} MiB before, {during:.0f} after {AWAY} s away, {after:.0f} in the end"
    yield Result("store_away/memory", after - before, "MiB more", waited)
    yield Result("store_away/caught_up", took, "s", f"{backlog - held:,.0f} reports, while {PER_SECOND}/s go on")
    yield Result("store_away/times", (backlog - held) / PER_SECOND / took, "× the live rate", "")
    yield Result("store_away/parts", most, "parts", "the most of a partition while it caught up")


def _live(port: int, requests: list[bytes], sent: list[int], stopping: threading.Event) -> None:
    for first in range(0, len(requests), PER_SECOND):
        if stopping.is_set():
            return
        drive(port, requests[first : first + PER_SECOND], 4, per_second=PER_SECOND, total=PER_SECOND)
        sent[0] += PER_SECOND
