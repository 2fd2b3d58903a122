"""What every store promises (`store/port.py`), on the real engine: in this process, and as a server over HTTP."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from landed import blocks, content, origin, put
from reports import executions, report

from forebay.core.record import encode
from forebay.errors import RetryLater, Stop
from forebay.journal.port import Fetched
from forebay.loader.block import build
from forebay.store import landing
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import Seen

numbers = itertools.count()


@pytest.fixture
def org() -> str:
    return f"store-test-{next(numbers)}"


@contextmanager
def _failing(store: ClickHouse, condition: str) -> Iterator[None]:
    """With a view that throws when the others have written."""
    store.command(
        f"CREATE MATERIALIZED VIEW zz_throws TO ledger AS SELECT pipeline, org FROM landing WHERE throwIf({condition})"
    )
    yield
    store.command("DROP VIEW zz_throws")


def test_an_insert_reaches_every_table(store: ClickHouse, org: str) -> None:
    put(store, *blocks(org))
    found = content(store, org)
    assert all(found.values()), [table for table, rows in found.items() if not rows]
    assert sum(row["requests"] for row in found["traffic"]) == 12
    assert {row["coordinate"] for row in found["shape_entries"]} == {"Query.a", "Query.b"}
    outcomes = [{name: row[name] for name in ("errors", "sampled", "executions")} for row in found["executions"]]
    assert sorted(outcomes, key=str) == [
        {"errors": 0, "sampled": 5, "executions": 50},
        {"errors": 5, "sampled": 0, "executions": 0},
    ]


def test_the_same_block_under_the_same_token_changes_nothing_however_often(store: ClickHouse, org: str) -> None:
    made = blocks(org)
    put(store, *made)
    before = content(store, org)
    for _ in range(3):
        put(store, *made)
    assert content(store, org) == before


def test_another_token_is_another_insert(store: ClickHouse, org: str) -> None:
    for first in (0, 10):
        put(store, *blocks(org, first))
    assert sum(row["requests"] for row in content(store, org)["traffic"]) == 24


def test_an_insert_that_failed_midway_is_made_whole_by_its_repetition(store: ClickHouse, org: str) -> None:
    """A view that throws after others have written: the first attempt leaves a part behind, the second completes it."""
    made = blocks(org)
    with _failing(store, f"org = '{org}'"), pytest.raises((RetryLater, Stop)):
        put(store, *made)
    put(store, *made)
    found = content(store, org)
    assert sum(row["requests"] for row in found["traffic"]) == 12
    assert sum(row["requests"] for row in found["ledger"]) == 12
    assert len(found["dead_letters"]) == 1


def test_a_block_of_more_rows_than_the_engine_takes_at_once_is_as_whole_as_a_small_one(
    store: ClickHouse, org: str
) -> None:
    """More than a full batch holds, and nothing in it folds: the engine cuts at some 65,000 rows."""
    now, rows = int(time.time() * 1000), 150_000
    tallies = {(now // 60_000, "v", f"{n:032x}", "web", "1", 200): (2, 0, {n % 300: 2}) for n in range(rows)}
    value = encode(report(org, "a", 1, received=now, tallies=tallies))
    made = build(origin(org), [Fetched(0, now, value)], {})
    totals = "SELECT count() AS rows, sum(requests) AS requests FROM traffic WHERE org = {org:String}"
    with _failing(store, f"org = '{org}'"), pytest.raises((RetryLater, Stop)):
        put(store, made)
    for _ in range(2):
        put(store, made)
        assert store.query(totals, {"org": org}) == [{"rows": rows, "requests": 2 * rows}]


def test_raw_bytes_are_kept_as_they_came(store: ClickHouse, org: str) -> None:
    raw = bytes(range(256))
    put(store, build(origin(org), [Fetched(7, int(time.time() * 1000), raw)], {}))
    [letter] = store.query(
        "SELECT hex(raw) AS raw FROM dead_letters WHERE pipeline = {p:String}", {"p": f"store-{org}"}
    )
    assert bytes.fromhex(letter["raw"]) == raw


def test_seen_sequences_are_read_back_as_the_last_range_left_them(store: ClickHouse, org: str) -> None:
    first = blocks(org)[0]
    later = build(origin(org), [Fetched(4, int(time.time() * 1000), encode(report(org, "a", 3)))], first.seen)
    put(store, first, later)
    assert store.seen(origin(org)) == {(org, "g", "a"): Seen(first=4, last=4, before="1-2", after="1-3")}


def test_what_a_topic_held_before_it_was_recreated_is_seen_below_all_of_the_new_one(
    store: ClickHouse, org: str
) -> None:
    old, new = origin(org), replace(origin(org), topic_id="made anew")
    put(store, build(old, [Fetched(7, int(time.time() * 1000), encode(report(org, "a", 1)))], {}))
    assert store.seen(new) == {(org, "g", "a"): Seen(first=-1, last=-1, before="1-1", after="1-1")}
    held = {(org, "g", "a"): ((1, 1),)}
    put(store, build(new, [Fetched(0, int(time.time() * 1000), encode(report(org, "a", n))) for n in (1, 2)], held))
    assert store.seen(new) == {(org, "g", "a"): Seen(first=0, last=0, before="1-1", after="1-2")}
    assert sum(row["requests"] for row in content(store, org)["traffic"]) == 2, "the repeat counts once"


def test_what_grows_old_is_merged_into_hours_and_then_days_and_no_count_changes(store: ClickHouse, org: str) -> None:
    now = int(time.time())
    ages = [number * 1_700 + day * 86_400 for day in (0, 1, 3, 40, 50, 300) for number in range(24)]
    records = [
        encode(
            report(
                org,
                "a",
                number + 1,
                requests=number + 1,
                received=1000 * (now - age),
                executions=executions(number + 1, 1000 * (now - age)),
            )
        )
        for number, age in enumerate(ages)
    ]
    put(store, build(origin(org), [Fetched(n, now * 1000, raw) for n, raw in enumerate(records)], {}))
    by_day = (
        "SELECT toDate(time) AS day, sum(requests) AS n, sumMap(duration) AS d FROM traffic"
        " WHERE org = {org:String} GROUP BY day ORDER BY day"
    )
    outcomes = (
        "SELECT toDate(time) AS day, coordinate, hex(shape) AS shape, sum(requests) AS n, sum(errors) AS e,"
        " sum(executions.executions) AS x, sum(sampled) AS s, sum(failed) AS f, sumMap(duration) AS d FROM executions"
        " WHERE org = {org:String} GROUP BY ALL ORDER BY ALL"
    )
    before = [store.query(by_day, {"org": org}), store.query(outcomes, {"org": org})]
    for table in ("traffic", "executions"):
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    assert [store.query(by_day, {"org": org}), store.query(outcomes, {"org": org})] == before
    for counted in ([row["n"] for row in before[0]], [row["e"] for row in before[1]], [row["s"] for row in before[1]]):
        assert sum(counted) == sum(range(1, len(ages) + 1))
    for table in ("traffic", "executions"):
        buckets = f"SELECT DISTINCT toUnixTimestamp(time) AS t FROM {table} WHERE org = {{org:String}}"
        times = [row["t"] for row in store.query(buckets, {"org": org})]
        assert all(time_ % 3600 == 0 for time_ in times if now - time_ > 2 * 86_400 + 3600)
        assert all(time_ % 86_400 == 0 for time_ in times if now - time_ > 46 * 86_400)
        assert any(time_ % 3600 for time_ in times if now - time_ < 86_400)


def test_migrating_again_changes_nothing_and_a_newer_store_is_left_alone(store: ClickHouse) -> None:
    store.migrate()
    store.command("INSERT INTO migrations VALUES (9999)")
    try:
        with pytest.raises(Stop, match="newer Forebay"):
            store.migrate()
    finally:
        store.command("ALTER TABLE migrations DELETE WHERE number = 9999 SETTINGS mutations_sync = 2")
    store.migrate()


def test_a_table_without_a_deduplication_window_stops_the_start_with_one_line(store: ClickHouse) -> None:
    store.command("CREATE TABLE unsafe (a UInt8) ENGINE = MergeTree ORDER BY a")
    try:
        with pytest.raises(Stop, match="deduplication window of unsafe is too short"):
            store.migrate()
    finally:
        store.command("DROP TABLE unsafe SYNC")


def test_every_part_is_fsynced_before_a_range_is_confirmed(store: ClickHouse) -> None:
    query = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    unsafe = store.query(f"{query} AND NOT engine_full LIKE '%fsync_after_insert = 1%'")
    assert unsafe == []


def test_every_field_of_a_row_is_a_column_of_its_landing_table() -> None:
    for made in blocks("columns"):
        for table, rows in made.inserts():
            assert set().union(*rows) <= set(landing.TABLES[table])
