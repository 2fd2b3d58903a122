"""What a report costs a fleet, and how much memory its processes take, by the number of graphs.

10, then 10,000 graphs, each fleet with processes of its own (see `processes`) and 8 partitions.
10,000 reports of 10 tallies, once unmeasured, then once measured: of 10 agents 1,000 each, or of
10,000 agents, each of a graph of its own, one each.  `graphs/cpu_N`: CPU of collector and loader for
a report, until the last one is in the store.  `graphs/memory_*_N`: resident after that, the
console's after answering `status` and who the clients of a graph are.
`graphs/growth`: 10,000 graphs against 10.

What grows are the ranges' rows in the ledger, one for each graph that a range has something of, and
what the loader then builds for each: it can only fold what is of one graph.
"""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Iterator

import httpx

from forebay.core import wire
from forebay.core.record import columns_of
from forebay.store.clickhouse import ClickHouse

from . import traffic
from .client import drive, request
from .ingest import headers
from .processes import Measured, cpu, loaded, measured, mebibytes, metric, pid, surroundings, token
from .result import Result

GRAPHS, REPORTS, TALLIES_EACH = (10, 10_000), 10_000, 10


def run() -> Iterator[Result]:
    costs: list[float] = []
    with surroundings() as (folder, broker, front):
        for graphs in GRAPHS:
            with measured(folder, broker, front, f"g{graphs}") as fleet:
                cost, *memory = _measure(fleet, graphs)
                costs.append(cost.value)
                yield from (cost, *memory)
    yield Result("graphs/growth", costs[-1] / costs[0], "× CPU per report", "10,000 graphs against 10")


def _measure(fleet: Measured, graphs: int) -> Iterator[Result]:
    collector, loader, console = fleet.start("collect"), fleet.start("load"), fleet.start("console")
    requests = reports(graphs)
    drive(collector.port, requests[:REPORTS], 16, total=REPORTS)
    loaded(loader, REPORTS)
    processes = (pid(collector), pid(loader), fleet.store_pid)
    inserts = metric(loader, "forebay_loader_inserts")
    before = [cpu(process) for process in processes]
    drive(collector.port, requests[REPORTS:], 16, total=REPORTS)
    loaded(loader, 2 * REPORTS)
    spent = [(cpu(process) - since) / REPORTS * 1e3 for process, since in zip(processes, before, strict=True)]
    inserts = metric(loader, "forebay_loader_inserts") - inserts
    for question in ("status", "clients"):
        of = {"org": "bench", "graph": "graph-0"}
        httpx.get(f"{console.url}/api/v1/{question}", params=of, timeout=60).raise_for_status()
    store = ClickHouse(fleet.front.dsn(f"g{graphs}"))
    [ledger] = store.query("SELECT count() AS ranges FROM ledger")
    store.close()
    against = f"collector {spent[0]:.2f}, loader {spent[1]:.2f}; the store {spent[2]:.2f}; {inserts:.0f} inserts"
    rows = f"{ledger['ranges'] / 2:,.0f} rows in the ledger"
    yield Result(f"graphs/cpu_{graphs}", spent[0] + spent[1], "ms CPU per report", f"{against}; {rows}")
    for member in (collector, loader, console):
        yield Result(f"graphs/memory_{member.command}_{graphs}", mebibytes(pid(member)), "MiB", "resident")


def reports(graphs: int) -> list[bytes]:
    """Twice `REPORTS`, of one agent in each graph, round and round."""
    chance = random.Random(8)
    now = int(time.time()) // 60
    writes = [headers(token(f"graph-{graph}"), "application/json") for graph in range(graphs)]
    shapes = [operation.shape().id() for operation in traffic.operations(50, fields=5)]
    made = []
    for number in range(2 * REPORTS):
        sequence, graph = number // graphs + 1, number % graphs
        client = chance.choice(traffic.CLIENTS)
        tallies = {
            (now, traffic.SCHEMA_VERSION, shape, *client, 200): traffic.count(chance, chance.randint(1, 8))
            for shape in chance.sample(shapes, TALLIES_EACH)
        }
        push = wire.Push(agent="router", sequence=sequence, **columns_of(tallies))  # type: ignore[arg-type]
        made.append(request(wire.PATH, writes[graph], gzip.compress(wire.encode(push), 1)))
    return made
