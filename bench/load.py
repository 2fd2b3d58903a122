"""Tallies per second of CPU from the journal into the store, against the slower half of the work alone.

The journal holds reports of 40 routers, 100 tallies each: 1,500 operations × 4 clients, some much
more popular than others, one report every ten seconds.  A round, interleaved:
- `read`: the same records read from SQLite and decoded (`core.record.decode`), nothing else;
- `insert`: the same rows inserted, as they stand in the journal: every report a row of the landing
  table, in batches as the loader's, each as one Native block through all views (building the
  blocks is not included).  This is what a loader that does not fold has to insert;
- `folded`: the blocks that the loader inserts after folding, otherwise likewise;
- Forebay: `Loader.drain` from the journal into the store: read, decode, fold, insert, commit.
All count the same journal tallies, over the CPU time of the process with all the engine's threads,
pinned to one core: what others do on the machine does not count.  `load/tallies` is the median
over rounds of Forebay's rate over that of the slower of `read` and `insert`; `load/folded` the same
with `folded` for `insert`: the fold makes inserts so cheap that Python's own work is most of what
is left.  `load/fold` says how many tallies of the journal make one row of a block.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from forebay.core.record import TALLIES, Report, TallyColumns, columns_of, decode, encode
from forebay.core.sequences import Sequences
from forebay.core.tally import Tallies
from forebay.journal.port import Fetched, Message, Partition
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.block import Block, build
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.serving import collect_seldom
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import AgentKey, Origin, Row

from . import traffic
from .result import Result, at_least

ROUTERS, REPORTS, TALLIES_EACH, ROUNDS = 40, 60, 100, 5
BEGIN = 1_795_000_000 // 3600 * 60  # minutes


def run() -> Iterator[Result]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield from pool.apply(measure)


def measure() -> list[Result]:
    """In a process of its own, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    total = ROUTERS * REPORTS * TALLIES_EACH
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        journal = SqliteJournal(Path(directory) / "journal.sqlite", [TALLIES])
        fill(journal)
        blocks = prebuilt(journal)
        unfolded = [as_they_are(batch, block) for batch, block in zip(batches(journal), blocks, strict=True)]
        collect_seldom()  # what is prebuilt here is no burden of the loader's
        polls = 1 + len(list(reads(journal)))
        rates: list[tuple[float, float, float, float]] = []
        store = ClickHouse(f"chdb:{directory}/store")
        store.migrate()
        store.command("SYSTEM STOP MERGES")  # they come when they like, and would count for whom they meet
        for number in range(-1, ROUNDS):  # the first one warms up
            begun = time.process_time()
            for records in reads(journal):
                for record in records:
                    decode(record.value)
            read = time.process_time()
            for block, rows_as_they_are in zip(blocks, unfolded, strict=True):
                store.insert(block.table, rows_as_they_are, f"{number} unfolded {block.token}")
            inserted = time.process_time()
            for block in blocks:
                store.insert(block.table, block.rows, f"{number} {block.token}")
            folded = time.process_time()
            consumer = journal.consumer(f"round {number}", [TALLIES])
            loader = Loader(consumer, store, f"round {number}", Pace(), time.monotonic)
            for _ in range(polls):
                loader.step()  # as under a backlog: batches as large as the pace allows
            loader.drain()
            loaded = time.process_time()
            assert loader.progress.records == ROUTERS * REPORTS
            if number >= 0:
                spans = (read - begun, inserted - read, folded - inserted, loaded - folded)
                rates.append((total / spans[0], total / spans[1], total / spans[2], total / spans[3]))
        journal.close()
        store.close()
    read_rate, insert_rate, folded_rate, rate = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(ours / min(reading, inserting) for reading, inserting, _, ours in rates)
    folded_ratio = statistics.median(ours / min(reading, inserting) for reading, _, inserting, ours in rates)
    rows = sum(len(row.get("minute", ())) for block in blocks for row in block.rows)
    alone = f"read + decode {read_rate:,.0f}, insert {insert_rate:,.0f}, folded {folded_rate:,.0f}"
    return [
        at_least(0.6, "load/tallies", ratio, "of the slower half's tallies/s", f"{min(read_rate, insert_rate):,.0f}"),
        Result("load/folded", folded_ratio, "of the slower half's tallies/s", "inserting folded rows"),
        Result("load/rate", rate, "tallies/s", f"alone: {alone}"),
        Result("load/fold", total / rows, "tallies per row", f"{len(blocks)} blocks of {rows / len(blocks):,.0f} rows"),
    ]


def as_they_are(batch: list[Fetched], block: Block) -> list[Row]:
    """The batch's reports as rows, with the block's own ledger."""
    names = TallyColumns.__struct_fields__
    rows: list[Row] = []
    for fetched in batch:
        report = decode(fetched.value)
        rows.append({"record": "tallies", "org": "bench", "graph": "shop"} | {n: getattr(report, n) for n in names})
    return rows + [row for row in block.rows if row["record"] == "range"]


def fill(journal: SqliteJournal) -> None:
    chance = random.Random(3)
    shapes = [operation.shape().id() for operation in traffic.operations(1_500, fields=5)]
    pick = traffic.popular(chance, len(shapes))
    for sequence in range(1, REPORTS + 1):
        minute = BEGIN + sequence // 6
        for router in range(ROUTERS):
            tallies: Tallies = {}
            while len(tallies) < TALLIES_EACH:
                client = chance.choice(traffic.CLIENTS)
                key = (minute, traffic.SCHEMA_VERSION, shapes[next(pick)], *client, 200)
                tallies[key] = traffic.count(chance, chance.randint(1, 8))
            columns = columns_of(tallies)
            report = Report(
                org="bench",
                graph="shop",
                source="native",
                received=minute * 60_000,
                agent=f"router-{router}",
                sequence=sequence,
                **columns,  # type: ignore[arg-type]
            )
            written = journal.append([Message(TALLIES, f"router-{router}", encode(report))])
    written.result()


def reads(journal: SqliteJournal) -> Iterator[list[Fetched]]:
    """All records, in portions as the journal's consumer reads them."""
    offset = 0
    while records := journal.read(Partition(TALLIES, 0), offset, limit=2_000, max_bytes=2**22):
        yield records
        offset = records[-1].offset + 1


def batches(journal: SqliteJournal) -> Iterator[list[Fetched]]:
    """All records, in batches as the loader makes them under a backlog."""
    batch: list[Fetched] = []
    size = 0
    for record in (record for records in reads(journal) for record in records):
        if batch and size + len(record.value) > Pace().batch:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.value)
    yield batch


def prebuilt(journal: SqliteJournal) -> list[Block]:
    blocks: list[Block] = []
    seen: dict[AgentKey, Sequences] = {}
    for records in batches(journal):
        blocks.append(build(Origin("bench", TALLIES, "t", 0), records, seen))
        seen |= blocks[-1].seen
    return blocks
