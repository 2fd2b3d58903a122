"""What other pullers do: the bytes of journal records, as JSONEachRow, into the landing tables of a server."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import httpx
import msgspec
import pytest
from front.control import Front
from msgspec import UNSET
from reports import executions, report, shape, shape_record

from forebay.core.histogram import LAST_BUCKET
from forebay.core.record import SCHEMAS, SHAPES, TALLIES, Record, SchemaRecord, encode
from forebay.core.tally import Tallies
from forebay.errors import Stop
from forebay.journal.port import Fetched
from forebay.loader.block import build
from forebay.store import landing
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import Origin
from forebay.store.pull import PULLS, pull_kafka_engine, refused, taken

numbers = itertools.count()

NAMES = ("web", "iOS App", "", 'quoted "name"', "back\\slash\ttab", "ünïcødé ✓", "line\nbreak", "it's")
SHAPES_USED = [shape(f"Q{number}", "Query.a", f"Query.field{number}", "User.email") for number in range(5)]


def records(chance: random.Random, now: int) -> dict[str, list[dict[str, Any]]]:
    """Topic → records without an organisation: several graphs, agents, days, shapes and schemas."""
    made: dict[str, list[Record]] = {TALLIES: [], SHAPES: [], SCHEMAS: []}
    for graph in ("one", "two"):
        for agent, sequence in itertools.product(("a", "b"), range(1, 6)):
            made[TALLIES].append(
                report(
                    "",
                    agent,
                    sequence,
                    graph=graph,
                    received=now,
                    tallies=tallies(chance, now),
                    lost={"full": 3},
                    executions=chance.choice((UNSET, executions(sequence, now))),
                )
            )
        for used in SHAPES_USED:
            made[SHAPES] += [shape_record("", used, graph, received) for received in (now - 5_000, now)]
        for version in ("v1", "v2"):
            sdl = 'type Query { "größer" a: Int }'
            made[SCHEMAS].append(SchemaRecord(id=version, sdl=sdl, org="", graph=graph, source="native", received=now))
    return {topic: [msgspec.json.decode(encode(record)) for record in of] for topic, of in made.items()}


def tallies(chance: random.Random, now: int) -> Tallies:
    """Some of them in the same minute or the same five minutes; none at all now and then."""
    made: Tallies = {}
    for _ in range(chance.choice((0, 1, 30))):
        minute = now // 60_000 - chance.choice((0, 1, 2, 3, 60, 1440, 2000))  # younger than what merges make coarser
        key = (minute, chance.choice(("v1", "v2")), chance.choice(SHAPES_USED).id(), chance.choice(NAMES))
        requests = chance.choice((1, 7, 1_000, 2**40))
        buckets = {chance.randrange(LAST_BUCKET + 1): chance.randrange(1, 2**33) for _ in range(chance.randrange(4))}
        made[(*key, chance.choice(("1.0", "")), chance.choice((0, 200, 503)))] = (
            requests,
            chance.randrange(requests + 1),
            buckets,
        )
    return made


def pull(front: Front, table: str, raws: list[bytes]) -> None:
    """As ClickPipes and Kafka Connect do.  What has no column is skipped, which is a server's default."""
    statement = f"INSERT INTO {table} SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow"
    parameters = {"database": "forebay", "query": statement}
    answer = httpx.post(front.dsn(""), params=parameters, content=b"\n".join(raws), timeout=30)
    assert answer.status_code == 200, answer.text


def load(store: ClickHouse, topic: str, raws: list[bytes]) -> None:
    fetched = [Fetched(offset, int(time.time() * 1000), raw) for offset, raw in enumerate(raws)]
    block = build(Origin(f"loads-{next(numbers)}", topic, "id", 0), fetched, {})
    assert block.dead_letters == 0
    for table, rows in block.inserts():
        store.insert(table, rows, block.token)


def totals(store: ClickHouse, org: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that questions are answered from."""
    keys = "graph, hex(shape) AS id, client, client_version, schema_version, status, time"
    queries = {
        "traffic": f"SELECT {keys}, sum(requests) AS r, sum(errors) AS e, sumMap(duration) AS d FROM traffic"
        " WHERE org = {org:String} GROUP BY ALL ORDER BY ALL",
        "executions": "SELECT * EXCEPT org FROM executions FINAL WHERE org = {org:String} ORDER BY ALL",
        **{
            table: f"SELECT * EXCEPT org FROM {table} FINAL WHERE org = {{org:String}} ORDER BY ALL"
            for table in ("shapes", "shape_entries", "schemas")
        },
    }
    return {name: store.query(sql, {"org": org}) for name, sql in queries.items()}


def test_records_that_are_pulled_as_they_are_give_the_totals_that_the_loader_gives(
    front: Front, served: ClickHouse
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    made = records(random.Random(seed), int(time.time() * 1000))
    for topic, of in made.items():
        raws = {org: [msgspec.json.encode(record | {"org": org}) for record in of] for org in ("loaded", "pulled")}
        load(served, topic, raws["loaded"])
        for table in (landing.REPORTS, landing.EXECUTIONS) if topic == TALLIES else (landing.NAMED,):
            pull(front, table, raws["pulled"])
    loaded, pulled = totals(served, "loaded"), totals(served, "pulled")
    assert all(loaded.values())
    assert pulled == loaded
    assert served.query("SELECT count() AS n FROM ledger WHERE org = 'pulled'") == [{"n": 0}]


def test_a_record_that_is_pulled_twice_counts_twice(front: Front, served: ClickHouse) -> None:
    """At least once, and no ledger that could tell: docs/pulling.md says so."""
    raw = encode(report("twice", "a", 1, 9, received=int(time.time() * 1000)))
    pull(front, landing.REPORTS, [raw, raw])
    assert served.query("SELECT sum(requests) AS n FROM traffic WHERE org = 'twice'") == [{"n": 18}]


@pytest.fixture
def pulling(front: Front) -> ClickHouse:
    """A database of its own for Kafka tables."""
    store = ClickHouse(front.dsn(f"pulling{next(numbers)}"))
    store.migrate()
    return store


def test_the_engine_takes_every_statement_of_pulling_twice(pulling: ClickHouse) -> None:
    """Columns, settings and views fit each other.  Records are not shown to arrive: there is no broker."""
    for statement in pull_kafka_engine("broker:9092", "it's ours", consumers=2) * 2:
        try:
            pulling.command(statement)
        except Stop as exc:
            if "Shutdown was called" not in str(exc):  # where a server would start to consume
                raise
    made = pulling.query(
        "SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND name LIKE 'pull%' ORDER BY name"
    )
    assert [(row["name"], row["engine"]) for row in made] == [
        ("pull_executions_view", "MaterializedView"),
        ("pull_named", "Kafka"),
        ("pull_named_refused", "MaterializedView"),
        ("pull_named_view", "MaterializedView"),
        ("pull_refused", "MergeTree"),
        ("pull_reports", "Kafka"),
        ("pull_reports_refused", "MaterializedView"),
        ("pull_reports_view", "MaterializedView"),
    ]
    pulling.check()
    for row in reversed(made):  # views before what they read
        pulling.command(f"DROP TABLE {row['name']}")
    pulling.close()


def test_what_a_kafka_table_yields_reaches_the_landing_tables_or_is_put_aside(pulling: ClickHouse) -> None:
    """With ordinary tables in place of the Kafka tables, of the same columns."""
    extra = "_error String, _raw_message String, _topic String, _partition UInt64, _offset UInt64"
    kafka = [statement for statement in pull_kafka_engine("b", "g") if "ENGINE = Kafka" in statement]
    for statement in kafka:
        pulling.command(statement.partition(" ENGINE = Kafka")[0].removesuffix(")") + f", {extra}) ENGINE = Memory")
    now = int(time.time() * 1000)
    _into(pulling, "pull_reports", encode(report("p", "a", 1, 4, received=now)))
    _into(pulling, "pull_reports", encode(report("p", "a", 2, 5, received=now, executions=executions(3, now))))
    _into(pulling, "pull_named", encode(shape_record("p", shape("Q", "Query.a"), received=now)))
    _into(
        pulling, "pull_reports", b'{"_error": "no JSON", "_raw_message": "po\\u0000ison", "_topic": "t", "_offset": 7}'
    )
    pulling.command(next(iter(pull_kafka_engine("b", "g"))))
    for name, (views, _) in PULLS.items():
        for into in views.values():
            pulling.command(f"INSERT INTO {into} ({', '.join(landing.RECORDS[into])}) {taken(name, into)}")
        pulling.command(f"INSERT INTO pull_refused (topic, partition, offset, error, raw) {refused(name)}")
    assert pulling.query("SELECT sum(requests) AS n FROM traffic") == [{"n": 9}]
    assert pulling.query("SELECT sum(errors) AS n, sum(executions.executions) AS x FROM executions") == [
        {"n": 3, "x": 30}
    ]
    assert [row["coordinate"] for row in pulling.query("SELECT coordinate FROM shape_entries ORDER BY 1")] == [
        "Query.a"
    ]
    assert pulling.query("SELECT offset, raw FROM pull_refused") == [{"offset": 7, "raw": "po\0ison"}]
    pulling.close()


def _into(store: ClickHouse, table: str, raw: bytes) -> None:
    statement = f"INSERT INTO {table} SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow"
    store.command(f"{statement}\n{raw.decode()}")
