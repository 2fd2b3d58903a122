"""What an hour of router traffic costs ClickHouse: Cosmo's tables against Forebay's.

The hour: 5 routers × 60 flushes of 140 or so of 200 operations × 30 fields, by 4 clients.  Both sides
get the same items in the same batches, in turn, in two databases of one engine.
- Cosmo's: three inserts a batch as prebuilt columns (operations, requests, and one usage row per
  field into a Null table whose views feed a 5-minute and a daily table); see cosmo_tables.py.
- Forebay: records → journal → `Loader.drain` into all its tables: traffic, shapes, their index,
  the schema, the ledger with the sequences seen.  As from a Cosmo router, tallies have no latencies.

`cost/cpu`: CPU seconds of the engine's threads over all inserts (and the loader's looks at its
parts), by its own counters (system.events: UserTimeMicroseconds + SystemTimeMicroseconds; chDB has
no query_log) less what asking for them costs.  Merges are stopped; one batch a minute: all routers'
flushes of a minute together, as both see them live; ten batches of one side, then ten of the other.
The files are in memory where the machine has such a place, and not fsynced on either side, as on a
server: what a disk makes the kernel do for each file is not the engine's.  What Python spends is
not in it.  The price of an insert has a fixed part (a query, and a part for each table), so the
ratio grows with the batch: `cost/cpu_12min` and `cost/cpu_30min` are batches that a loader makes of
a backlog.
`cost/disk`: bytes of active parts after OPTIMIZE FINAL of every table; `cost/disk_unmerged`: before.
`cost/query`: which clients and operations use a field, over the hour, merged: median over fields
of the ratio of medians.  The text is the one that `forebay.insights` asks; its answer says more
than the other's (kinds of use, states, totals).  `cost/query_day`: the same over 24 such hours.
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client

from forebay.core.record import (
    SCHEMAS,
    SHAPES,
    TALLIES,
    TOPICS,
    Record,
    Report,
    SchemaRecord,
    ShapeColumns,
    ShapeRecord,
    columns_of,
    encode,
)
from forebay.core.tally import fold
from forebay.insights.queries import CLIENTS_OF
from forebay.journal.port import Message
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import Row

from . import cosmo_tables, traffic
from .result import Result, at_least

ROUTERS, OPERATIONS, MINUTES = 5, 200, 60
TURN = 10
"""Batches of one side before the other has its turn: a small insert after a large one pays for its cold caches."""
BEGIN = int(time.time()) // 3600 * 60 - 60  # in minutes: the last full hour, which is not old enough to be coarsened
ORG, GRAPH = "bench", "shop"
WINDOW = {"org": ORG, "graph": GRAPH, "limit": 1_000, "since": BEGIN * 60, "until": (BEGIN + MINUTES) * 60}


class Item(NamedTuple):
    """What a router says of one operation in one flush."""

    operation: traffic.Operation
    client: tuple[str, str]
    status: int
    failed: bool
    requests: int


def run() -> Iterator[Result]:
    memory = Path("/dev/shm")  # noqa: S108  a directory of our own is made there
    place = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else Path.cwd()
    with tempfile.TemporaryDirectory(dir=place, prefix=".bench-") as directory:
        path = f"{directory}/store"
        client = clickhouse_connect.get_client(interface="chdb", path=path)
        client.command("CREATE DATABASE cosmo")
        client.database = "cosmo"
        for statement in cosmo_tables.TABLES:
            client.command(statement)
        store = Metered(f"chdb:{path}")
        store.migrate()
        for table in _tables(client, "forebay"):
            client.command(f"ALTER TABLE forebay.{table} RESET SETTING fsync_after_insert, fsync_part_directory")
        journal = SqliteJournal(Path(directory) / "journal.sqlite", TOPICS)
        yield from _measure(client, store, journal)
        journal.close()
        store.close()
        client.close()


def _measure(client: Client, store: Metered, journal: SqliteJournal) -> Iterator[Result]:
    operations = traffic.operations(OPERATIONS)
    forebay = Forebay(store, journal, operations)
    minutes = _minutes(operations)
    requests = rows = 0

    def spend(batches: list[list[Minute]]) -> tuple[float, float]:
        """CPU seconds of Cosmo's and our inserts of some batches, one side after the other."""
        columns = [
            cosmo_batch([(minute, item) for minute, flushes in batch for items in flushes for item in items])
            for batch in batches
        ]
        theirs = sum(_cpu(client, partial(_insert, client, each)) for each in columns)
        before = store.spent
        for batch in batches:
            for minute, flushes in batch:
                forebay.append(minute, flushes)
            forebay.loader.drain()
        return theirs, store.spent - before

    client.command("SYSTEM STOP MERGES")
    spent = []
    for _ in range(MINUTES // TURN):
        turn = list(islice(minutes, TURN))
        items = [item for _, flushes in turn for items in flushes for item in items]
        requests += sum(item.requests for item in items)
        rows += sum(len(item.operation.fields) for item in items)
        spent.append(spend([[minute] for minute in turn]))
    assert _one(client, "SELECT sum(RequestCount) FROM requests") == requests
    assert store.query("SELECT sum(requests) AS n FROM traffic") == [{"n": requests}]
    yield at_least(8, "cost/cpu", *_less_cpu(spent))
    unmerged = {database: _disk(client, database) for database in ("cosmo", "forebay")}
    client.command("SYSTEM START MERGES")
    for database in unmerged:
        _optimize(client, database)
    yield at_least(4, "cost/disk", *_less_disk({database: _disk(client, database) for database in unmerged}))
    yield Result("cost/disk_unmerged", *_less_disk(unmerged))
    yield at_least(1, "cost/query", *_queries(client, store, operations, hours=1))
    for table, columns in (("cosmo.usage_5m", "Timestamp"), ("forebay.traffic", "time")):
        _repeat(client, table, columns)
    yield Result("cost/query_day", *_queries(client, store, operations, hours=24))
    client.command("SYSTEM STOP MERGES")
    yield Result("cost/cpu_12min", *_less_cpu([spend([list(islice(minutes, 12))])]))
    yield Result("cost/cpu_30min", *_less_cpu([spend([list(islice(minutes, 30))])]))
    yield Result("cost/rows", rows, "usage rows an hour", f"{requests:,} requests")


Minute = tuple[int, list[list[Item]]]
"""A minute and each router's flush in it."""


def _minutes(operations: list[traffic.Operation]) -> Iterator[Minute]:
    chance = random.Random(4)
    for minute in count(BEGIN):
        yield minute, [flush(chance, operations) for _ in range(ROUTERS)]


def flush(chance: random.Random, operations: list[traffic.Operation]) -> list[Item]:
    items = []
    for operation in operations:
        if chance.random() < 0.7:
            status, failed = chance.choices([(200, False), (200, True), (500, True)], [97, 2, 1])[0]
            client = chance.choices(traffic.CLIENTS, [6, 2, 1, 1])[0]
            items.append(Item(operation, client, status, failed, chance.randint(1, 50)))
    return items


class Forebay:
    """Our side: reports to the journal, from there to the store."""

    def __init__(self, store: ClickHouse, journal: SqliteJournal, operations: list[traffic.Operation]) -> None:
        self._journal = journal
        self._shapes = {operation.number: operation.shape() for operation in operations}
        self._ids = {number: shape.id() for number, shape in self._shapes.items()}
        self.loader = Loader(journal.consumer("bench", TOPICS), store, "bench", Pace(), time.monotonic)
        received = BEGIN * 60_000
        sdl = "\n".join(
            f"type Type{n} {{ {' '.join(f'{leaf}: String' for leaf in traffic.LEAVES)} }}" for n in range(80)
        )
        stamp: dict[str, Any] = {"org": ORG, "graph": GRAPH, "source": "native", "received": received}
        shapes = [
            ShapeRecord(**msgspec.structs.asdict(ShapeColumns.of(shape)), **stamp) for shape in self._shapes.values()
        ]
        self._append([(SCHEMAS, SchemaRecord(id=traffic.SCHEMA_VERSION, sdl=sdl, **stamp))])
        self._append([(SHAPES, shape) for shape in shapes])

    def append(self, minute: int, flushes: list[list[Item]]) -> None:
        for router, items in enumerate(flushes):
            keyed = (
                (
                    (minute, traffic.SCHEMA_VERSION, self._ids[item.operation.number], *item.client, item.status),
                    (item.requests, item.requests if item.failed else 0, dict[int, int]()),
                )
                for item in items
            )
            columns: dict[str, Any] = dict(columns_of(fold({}, keyed)))
            report = Report(
                org=ORG,
                graph=GRAPH,
                source="native",
                received=minute * 60_000,
                agent=f"router-{router}",
                sequence=minute - BEGIN + 1,
                **columns,
            )
            self._append([(TALLIES, report)])

    def _append(self, records: list[tuple[str, Record]]) -> None:
        self._journal.append([Message(topic, "bench", encode(record)) for topic, record in records]).result()


Batch = list[tuple[str, dict[str, str], list[list[Any]]]]
"""(table, its columns' types, their values)"""


def cosmo_batch(timed: list[tuple[int, Item]]) -> Batch:
    times = {minute: datetime.fromtimestamp(minute * 60, UTC) for minute, _ in timed}
    no, nothing = False, dict[str, str]()
    usage = [
        (
            *(times[minute], ORG, GRAPH, traffic.SCHEMA_VERSION, item.operation.hash, item.operation.name, "query"),
            *(list(used.path), [used.type], used.named_type, *item.client, [used.subgraph], no, no, no, no),
            *(item.requests, str(item.status), item.failed, nothing),
        )
        for minute, item in timed
        for used in item.operation.fields
    ]
    distinct = {item.operation.number: (times[minute], item.operation) for minute, item in timed}.values()
    operations = [(time_, one.name, one.hash, "query", one.document, ORG, GRAPH) for time_, one in distinct]
    requests = [(times[minute], ORG, GRAPH, item.requests) for minute, item in timed]
    tables = (
        ("operations", cosmo_tables.OPERATIONS, operations),
        ("requests", cosmo_tables.REQUESTS, requests),
        ("usage", cosmo_tables.USAGE, usage),
    )
    return [(table, types, [list(column) for column in zip(*rows, strict=True)]) for table, types, rows in tables]


def _insert(client: Client, batch: Batch) -> None:
    for table, types, columns in batch:
        client.insert(
            table,
            columns,
            column_names=list(types),
            column_type_names=list(types.values()),
            column_oriented=True,
            settings={"async_insert": 0, "max_insert_threads": 1},
        )


class Metered(ClickHouse):
    """Adds up the CPU seconds that the engine spends on what the loader asks of it."""

    spent = 0.0

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        self.spent += _cpu(self._connected(), lambda: super(Metered, self).insert(table, rows, token))

    def parts(self) -> int:
        found: list[int] = []
        self.spent += _cpu(self._connected(), lambda: found.append(super(Metered, self).parts()))
        return found[0]


def _cpu(client: Client, work: Callable[[], None]) -> float:
    """CPU seconds that the engine's threads spend on it."""
    before = _spent(client)
    work()
    return _spent(client) - before - _asking(client)


@cache
def _asking(client: Client) -> float:
    """What it costs to ask what was spent."""
    asked = [_spent(client) for _ in range(30)]
    return statistics.median(after - before for before, after in pairwise(asked))


def _spent(client: Client) -> float:
    events = "('UserTimeMicroseconds', 'SystemTimeMicroseconds')"
    return float(_one(client, f"SELECT sum(value) FROM system.events WHERE event IN {events}")) / 1e6


def _disk(client: Client, database: str) -> int:
    sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = {database:String}"
    return int(_one(client, sql, {"database": database}))


def _one(client: Client, sql: str, parameters: dict[str, Any] | None = None) -> Any:
    """The only value of the only row."""
    [(value,)] = client.query(sql, parameters).result_rows
    return value


def _optimize(client: Client, database: str) -> None:
    for table in _tables(client, database):
        client.command(f"OPTIMIZE TABLE {database}.{table} FINAL")


def _tables(client: Client, database: str) -> list[str]:
    sql = "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
    return [table for (table,) in client.query(sql, {"database": database}).result_rows]


def _less_cpu(spent: list[tuple[float, float]]) -> tuple[float, str, str]:
    theirs, ours = (sum(column) for column in zip(*spent, strict=True))
    against = f"Cosmo's {theirs:.2f} s; Forebay {ours:.2f} s of the engine's CPU"
    return theirs / ours, "× less insert CPU", against


def _less_disk(size: dict[str, int]) -> tuple[float, str, str]:
    against = f"Cosmo's {size['cosmo'] / 1024:,.0f} KiB; Forebay {size['forebay'] / 1024:,.0f} KiB"
    return size["cosmo"] / size["forebay"], "× less on disk", against


def _queries(
    client: Client, store: ClickHouse, operations: list[traffic.Operation], hours: int
) -> tuple[float, str, str]:
    chance = random.Random(6)
    asks: dict[str, Callable[[dict[str, Any]], Any]] = {
        "theirs": lambda asked: client.query(cosmo_tables.CLIENTS_OF_FIELD, asked).result_rows,
        "ours": lambda asked: store.query(CLIENTS_OF, asked),
    }
    times: list[tuple[float, float]] = []
    for used in (chance.choice(operation.fields) for operation in chance.sample(operations, 10)):
        asked = {"type": used.type, "field": used.path[-1], "coordinate": f"{used.type}.{used.path[-1]}"} | WINDOW
        asked["since"] = (BEGIN - (hours - 1) * 60) * 60
        pairs = []
        answers: dict[str, Any] = {}
        for turn in range(10):
            took: dict[str, float] = {}
            for side in sorted(asks, reverse=bool(turn % 2)):  # who comes second finds colder caches
                begun = time.perf_counter()
                answers[side] = asks[side](asked)
                took[side] = time.perf_counter() - begun
            pairs.append((took["theirs"], took["ours"]))
        found = {(row["client"], row["client_version"], row["operation"]) for row in answers["ours"]}
        assert found == {row[:3] for row in answers["theirs"]}
        times.append((statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)))
    theirs_ms, ours_ms = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    ratio = statistics.median(theirs / ours for theirs, ours in times)
    against = f"Cosmo's {theirs_ms:.1f} ms; Forebay {ours_ms:.1f} ms"
    return ratio, "× faster: a field's clients", against


def _repeat(client: Client, table: str, time_column: str) -> None:
    """The same hour again in each of the 23 before it."""
    client.command(
        f"INSERT INTO {table} SELECT * EXCEPT (hour) REPLACE ({time_column} - INTERVAL hour HOUR AS {time_column})"
        f" FROM (SELECT *, arrayJoin(range(1, 24)) AS hour FROM {table})"
    )
    client.command(f"OPTIMIZE TABLE {table} FINAL")
