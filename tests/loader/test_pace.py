"""The pace in the loop: what is slowed, paused and bounded when the store or a setting says so."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from loader.ailing_store import Ailing
from reports import message, report

from forebay.core.record import TALLIES, TOPICS
from forebay.errors import RetryLater
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.store.port import Store


class Clock:
    """Moves when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    return SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)


def append(journal: SqliteJournal, org: str, first: int, count: int) -> None:
    now = int(time.time() * 1000)
    records = [message(report(org, "a", n, requests=1, received=now)) for n in range(first, first + count)]
    journal.append(records).result(timeout=30)


def total(store: Store, org: str) -> int:
    return int(store.query(f"SELECT sum(requests) AS n FROM traffic WHERE org = '{org}'")[0]["n"])


def loader_on(journal: SqliteJournal, store: Store, pace: Pace, clock: Clock) -> Loader:
    return Loader(journal.consumer("loaders", TOPICS), store, f"pace-{time.monotonic()}", pace, clock)


def steps(loader: Loader, count: int = 8) -> None:
    for _ in range(count):
        loader.step()


def test_after_a_failure_the_same_range_waits_for_the_pause_while_polling_goes_on(
    store: Store, journal: SqliteJournal
) -> None:
    clock, ailing = Clock(), Ailing(store, ["too_many_parts", "too_many_parts"])
    loader = loader_on(journal, ailing, Pace(linger=0.01, jitter=lambda: 1.0), clock)
    append(journal, "paused", 1, 10)
    steps(loader)
    clock.now = 1
    with pytest.raises(RetryLater):
        steps(loader)
    assert "too many parts" in loader.progress.pace
    clock.now = 5.9  # the first pause is of 5 seconds
    steps(loader)
    assert len(ailing.attempts) == 1
    clock.now = 6.1
    with pytest.raises(RetryLater):
        steps(loader)
    clock.now = 16  # the second of 10
    steps(loader)
    assert len(ailing.attempts) == 2
    clock.now = 16.2
    append(journal, "paused", 11, 5)
    steps(loader)
    assert len(ailing.attempts) >= 3
    loader.drain()
    assert total(store, "paused") == 15
    journal.close()


def test_a_failure_stays_told_until_an_insert_works(store: Store, journal: SqliteJournal) -> None:
    clock, ailing = Clock(), Ailing(store, ["out_of_memory"])
    pace = Pace(linger=0.01, jitter=lambda: 1.0)
    loader = loader_on(journal, ailing, pace, clock)
    append(journal, "told", 1, 5)
    steps(loader)
    stopping = threading.Event()

    def tick() -> float:
        clock.now += 0.02
        return clock.now

    loader._clock = tick
    loader.run_for(stopping, 0.5)
    assert loader.progress.trouble == "not now"
    loader.run_for(stopping, 5)
    assert loader.progress.trouble == ""
    assert pace.batch < pace.batch_bytes, "memory ran out: smaller batches for a while"
    assert total(store, "told") == 5
    journal.close()


def test_a_store_with_many_parts_gets_fewer_inserts_of_a_topic_and_says_why(
    store: Store, journal: SqliteJournal
) -> None:
    def run(org: str, parts: int) -> tuple[int, str]:
        clock, ailing = Clock(), Ailing(store, parts=parts)
        loader = loader_on(journal, ailing, Pace(), clock)
        for sequence in range(1, 241):
            append(journal, org, sequence, 1)
            clock.now += 0.25
            loader.step()
        inserts, why = len(ailing.attempts), loader.progress.pace
        loader.drain()
        assert total(store, org) == 240
        return inserts, why

    well, why_well = run("well", 10)
    strained, why_strained = run("strained", 900)
    assert well >= 60 / 0.75 - 2
    assert strained < well / 4
    assert "all is well" in why_well
    assert "900 parts in a partition" in why_strained
    journal.close()


def test_a_batch_is_no_larger_than_it_should_be_and_ranges_stay_gapless(store: Store, journal: SqliteJournal) -> None:
    append(journal, "sized", 1, 200)
    ailing = Ailing(store)
    size = len(message(report("sized", "a", 100, received=int(time.time() * 1000))).value)
    loader_on(journal, ailing, Pace(batch_bytes=10 * size + 5), Clock()).drain()
    ranges = [tuple(map(int, token.split("|")[3].split("-"))) for token in ailing.tokens]
    assert [first for first, _ in ranges] == [0, *(last + 1 for _, last in ranges[:-1])]
    assert ranges[-1][1] == 199
    assert max(last - first + 1 for first, last in ranges) <= 11
    assert total(store, "sized") == 200
    journal.close()


def test_a_declared_range_larger_than_the_batch_and_the_budget_is_still_replayed(
    store: Store, journal: SqliteJournal
) -> None:
    """Settings may have become smaller since it was declared, and only the whole range can be inserted."""
    append(journal, "replayed", 1, 6_000)
    clock = Clock()
    first = loader_on(journal, Ailing(store, ["away"] * 99), Pace(linger=0.01), clock)
    steps(first, 10)
    clock.now = 1
    with pytest.raises(RetryLater):
        steps(first)
    consumer = journal.committed("loaders", journal.partitions(TALLIES)[0])
    assert consumer
    second = Loader(
        journal.consumer("loaders", TOPICS), store, first._pipeline, Pace(1_000, 0.01, budget_bytes=3_000), clock
    )
    second.drain()
    assert total(store, "replayed") == 6_000
    journal.close()


def test_what_waits_is_held_within_one_budget_and_not_forgotten(store: Store, journal: SqliteJournal) -> None:
    append(journal, "budget", 1, 5_000)
    clock, ailing = Clock(), Ailing(store, ["away"])
    pace = Pace(batch_bytes=50_000, linger=0.01, budget_bytes=60_000, jitter=lambda: 1.0)
    loader = loader_on(journal, ailing, pace, clock)
    with pytest.raises(RetryLater):
        steps(loader)
    append(journal, "budget", 5_001, 5_000)
    steps(loader, 20)
    held = sum(each.size for each in loader._held.values())
    assert held < 60_000 + 2_000 * 400, "no more than the budget and one poll"
    loader.drain()
    assert total(store, "budget") == 10_000
    journal.close()


def test_the_store_tells_its_parts(store: Store) -> None:
    assert 1 <= store.parts() < 3_000
