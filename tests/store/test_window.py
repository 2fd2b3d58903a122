"""How far back tables remember inserts, reckoned and on the real engine."""

from __future__ import annotations

import time

import pytest
from front.control import Front
from hypothesis import given
from hypothesis import strategies as st
from landed import blocks, content, put

from forebay.errors import Stop
from forebay.store.clickhouse import ClickHouse
from forebay.store.window import EMBEDDED, PARTS_PER_INSERT, Window, window

sizes = st.integers(1, 100)


@given(partitions=sizes, rate=st.floats(0.01, 10), reach=st.floats(1, 100_000))
def test_a_window_holds_every_part_that_may_come_between_an_insert_and_its_replay(
    partitions: int, rate: float, reach: float
) -> None:
    found = window(partitions, rate, reach)
    assert found.parts >= partitions * rate * reach * PARTS_PER_INSERT
    assert found.seconds >= reach


@given(st.tuples(sizes, sizes, sizes), st.tuples(sizes, sizes, sizes))
def test_more_of_anything_never_makes_it_shorter(less: tuple[int, int, int], more: tuple[int, int, int]) -> None:
    small, large = window(*less), window(*(a + b for a, b in zip(less, more, strict=True)))
    assert small.parts <= large.parts
    assert small.seconds <= large.seconds


def test_twelve_partitions_with_an_insert_a_second_and_an_hour_of_reach_take_172800_parts() -> None:
    assert window(12, 1, 3600) == Window(12 * 3600 * PARTS_PER_INSERT, EMBEDDED.seconds)


@pytest.fixture
def small(front: Front) -> ClickHouse:
    """A database whose window the test may change."""
    return ClickHouse(front.dsn(f"window{time.time_ns()}"))


def test_a_window_counts_parts_and_what_falls_out_of_it_counts_again(small: ClickHouse) -> None:
    """Why the window is reckoned from what comes between.  Each block here leaves two parts in a table by days."""
    small.migrate()
    small.command("CREATE TABLE days (day UInt8, n UInt64) ENGINE = MergeTree PARTITION BY day ORDER BY n"
                  " SETTINGS non_replicated_deduplication_window = 6")  # fmt: skip

    def insert(token: int) -> None:
        small.command(f"INSERT INTO days SETTINGS insert_deduplication_token = '{token}' VALUES (1, 1), (2, 1)")

    def rows() -> int:
        return int(small.query("SELECT count() AS n FROM days")[0]["n"])

    for token in (1, 2, 3, 1):
        insert(token)
    assert rows() == 6
    for token in (4, 1):
        insert(token)
    assert rows() == 10
    small.close()


def test_migrating_widens_what_is_too_short_and_forgets_no_insert_by_it(small: ClickHouse) -> None:
    small.migrate()
    made = blocks("widened")
    put(small, *made)
    before = content(small, "widened")
    longer = window(12, 1, 3600)
    with pytest.raises(Stop, match=r"window of executions, .*, shapes, traffic is too short"):
        small.check(longer)
    small.migrate(longer)
    small.check(longer)
    put(small, *made)
    assert content(small, "widened") == before
    small.migrate()  # never narrows: another loader may rely on it
    small.check(longer)
    small.close()
