"""Tallies per second of CPU from the journal into the store, against the slower half of the work alone.

The journal holds reports of 40 routers, 100 tallies each: 1,500 operations × 4 clients, some much
more popular than others, one report every ten seconds.  A round, interleaved:
- `read`: the same records read from SQLite and decoded (`core.record.decode`), nothing else;
- `insert`: the same rows inserted, as they stand in the journal: every report a row of the landing
  table, in batches as the loader's, each as one Native block through all views (building the
  blocks is not included).  This is what a loader that does not fold has to insert;
- `folded`: the blocks that the loader inserts after folding, otherwise likewise;
- Forebay: the loader from the journal into the store: read, decode, fold, insert, commit.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from forebay.core.record import TALLIES, Report, TallyColumns, columns_of, decode, encode
from forebay.core.sequences import Sequences
from forebay.journal.port import Fetched, Journal, Message, Partition
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.block import Block, build
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.serving import collect_seldom
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import AgentKey, Origin, Row

from . import traffic
from .result import Result, at_least

ROUTERS, REPORTS, TALLIES_EACH, ROUNDS = 40, 180, 100, 5
BEGIN = 1_795_000_000 // 3600 * 60  # minutes


def run() -> Iterator[Result]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield from pool.apply(measure)


def measure() -> list[Result]:
    """In a process of its own."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        journal = SqliteJournal(Path(directory) / "journal.sqlite", [TALLIES])
        results = compare("load", Path(directory), journal, lambda: reads(journal))
        journal.close()
    return results


def reads(journal: SqliteJournal) -> Iterator[list[bytes]]:
    """All records, in portions as the journal's consumer reads them."""
    offset = 0
    while records := journal.read(Partition(TALLIES, 0), offset, limit=2_000, max_bytes=2**22):
        yield [record.value for record in records]
        offset = records[-1].offset + 1


def compare(name: str, directory: Path, journal: Journal, reads: Callable[[], Iterator[list[bytes]]]) -> list[Result]:
    """Fill the journal and measure, on one core; `reads` reads all of it with the least that one can do."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    records = fill(journal)
    total, size = len(records) * TALLIES_EACH, sum(len(record.value) for record in records)
    blocks = prebuilt(records)
    unfolded = [as_they_are(batch, block) for batch, block in zip(batches(records), blocks, strict=True)]
    collect_seldom()  # what is prebuilt here is no burden of the loader's
    rates: list[tuple[float, float, float, float]] = []
    for number in range(-1, ROUNDS):  # the first one warms up
        store = ClickHouse(f"chdb:{directory}/store", f"round_{number + 1}")  # with few parts, or the loader waits
        store.migrate()
        store.command("SYSTEM STOP MERGES")  # they come when they like, and would count for whom they meet
        begun = time.process_time()
        for values in reads():
            for value in values:
                decode(value)
        read = time.process_time()
        for block, rows_as_they_are in zip(blocks, unfolded, strict=True):
            store.insert(block.table, rows_as_they_are, f"{number} unfolded {block.token}")
        inserted = time.process_time()
        for block in blocks:
            store.insert(block.table, block.rows, f"{number} {block.token}")
        folded = time.process_time()
        consumer = journal.consumer(f"round {number}", [TALLIES])
        loader = Loader(consumer, store, f"round {number}", Pace(), time.monotonic)
        while loader.progress.records < len(records):
            loader.step()
        loader.drain()
        consumer.close()
        loaded = time.process_time()
        store.command(f"DROP DATABASE {store.database} SYNC", inside=False)
        store.close()
        if number >= 0:
            spans = (read - begun, inserted - read, folded - inserted, loaded - folded)
            rates.append((total / spans[0], total / spans[1], total / spans[2], total / spans[3]))
    read_rate, insert_rate, folded_rate, rate = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(ours / min(reading, inserting) for reading, inserting, _, ours in rates)
    folded_ratio = statistics.median(ours / min(reading, inserting) for reading, _, inserting, ours in rates)
    rows = sum(len(row.get("minute", ())) for block in blocks for row in block.rows)
    alone = f"read + decode {read_rate:,.0f}, insert {insert_rate:,.0f}, folded {folded_rate:,.0f}"
    slower = f"{min(read_rate, insert_rate):,.0f}"
    shape = f"{len(blocks)} blocks of {rows / len(blocks):,.0f} rows"
    return [
        at_least(0.6, f"{name}/tallies", ratio, "of the slower half's tallies/s", slower),
        Result(f"{name}/folded", folded_ratio, "of the slower half's tallies/s", "inserting folded rows"),
        Result(f"{name}/rate", rate, "tallies/s", f"alone: {alone}"),
        Result(f"{name}/bytes", rate / total * size / 1e6, "MB/s", f"{size / total:.0f} bytes of JSON a tally"),
        Result(f"{name}/fold", total / rows, "tallies per row", shape),
    ]


def as_they_are(batch: Sequence[Fetched], block: Block) -> list[Row]:
    """The batch's reports as rows, with the block's own ledger."""
    names = TallyColumns.__struct_fields__
    rows: list[Row] = []
    for fetched in batch:
        report = decode(fetched.value)
        rows.append({"record": "tallies", "org": "bench", "graph": "shop"} | {n: getattr(report, n) for n in names})
    return rows + [row for row in block.rows if row["record"] == "range"]


def fill(journal: Journal) -> list[Fetched]:
    """What the journal holds then."""
    chance = random.Random(3)
    shapes = [operation.shape().id() for operation in traffic.operations(1_500, fields=5)]
    pick = traffic.popular(chance, len(shapes))
    records: list[Fetched] = []
    for sequence in range(1, REPORTS + 1):
        minute = BEGIN + sequence // 6
        for router in range(ROUTERS):
            columns = columns_of(traffic.tallies(chance, shapes, pick, minute, TALLIES_EACH))
            report = Report(
                org="bench",
                graph="shop",
                source="native",
                received=minute * 60_000,
                agent=f"router-{router}",
                sequence=sequence,
                **columns,  # type: ignore[arg-type]
            )
            records.append(Fetched(len(records), minute * 60_000, encode(report)))
            written = journal.append([Message(TALLIES, f"router-{router}", records[-1].value)])
    written.result()
    return records


def batches(records: Sequence[Fetched]) -> Iterator[list[Fetched]]:
    """All records, in batches as the loader makes them under a backlog."""
    batch: list[Fetched] = []
    size = 0
    for record in records:
        if batch and size + len(record.value) > Pace().batch:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.value)
    yield batch


def prebuilt(records: Sequence[Fetched]) -> list[Block]:
    blocks: list[Block] = []
    seen: dict[AgentKey, Sequences] = {}
    for batch in batches(records):
        blocks.append(build(Origin("bench", TALLIES, "t", 0), batch, seen))
        seen |= blocks[-1].seen
    return blocks
