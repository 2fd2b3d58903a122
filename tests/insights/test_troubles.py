"""While the store or the journal is in trouble, `status` says in which, and tells what the other one knows."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from front.control import Front
from front.faults import Kind
from prometheus_client import REGISTRY
from world import World

from forebay.errors import RetryLater
from forebay.insights.insights import Insights
from forebay.insights.status import Status
from forebay.insights.stored import stored
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Retention
from forebay.settings import KafkaSettings
from forebay.store import connection
from forebay.store.clickhouse import ClickHouse
from forebay.store.condition import State
from forebay.wiring.told import tell_status

QUERY = "{ user(id: 1) { id } }"
numbers = itertools.count()


@pytest.fixture
def served(front: Front, tmp_path: Path) -> Iterator[World]:
    """A graph in a database of its own on a server, with two records that are not loaded."""
    store = ClickHouse(front.dsn(f"troubled{next(numbers)}"))
    store.migrate()
    world = World(store, tmp_path / "journal.sqlite", "acme")
    world.append_raw(b"{")
    world.load()
    world.request(QUERY)
    world.now += 90
    yield world
    world.close()
    store.close()


def away(world: World) -> None:
    world.rehouse(ClickHouse("http://127.0.0.1:1/forebay"))


def without_a_table(world: World) -> None:
    world.store.command("DROP TABLE dead_letters")


def of_an_older_schema(world: World) -> None:
    world.store.command("TRUNCATE TABLE migrations")


def of_a_newer_schema(world: World) -> None:
    world.store.command("INSERT INTO migrations VALUES (9999)")


@contextmanager
def as_found(make: Callable[[World], None], world: World) -> Iterator[None]:
    make(world)
    yield


@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        (State.AWAY, away),
        (State.SLOW, (Kind.SLOW, 1.2)),
        (State.READ_ONLY, (Kind.EXCEPTION, 242)),
        (State.OUT_OF_MEMORY, (Kind.EXCEPTION, 241)),
        (State.MISSING_TABLE, without_a_table),
        (State.OTHER_SCHEMA_VERSION, of_an_older_schema),
        (State.OTHER_SCHEMA_VERSION, of_a_newer_schema),
        (State.UNSUPPORTED_VERSION, None),
    ],
)
def test_each_trouble_of_the_store_has_its_word_and_what_waits_is_told_all_the_same(
    served: World,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
    state: State,
    trouble: Callable[[World], None] | tuple[Kind, float] | None,
) -> None:
    monkeypatch.setattr(served.journal, "retention", lambda topic: Retention(3_600.0))
    made: AbstractContextManager[None]
    if state == State.SLOW:
        served.rehouse(ClickHouse(front.dsn(served.store.database, send_receive_timeout=1)))
    if isinstance(trouble, tuple):
        made = front.faulty(*trouble, times=None, inserts=False)
    elif trouble:
        made = as_found(trouble, served)
    else:
        monkeypatch.setattr(connection, "OLDEST", (99, 1))
        made = as_found(lambda world: world.rehouse(ClickHouse(front.dsn(world.store.database))), served)
    with made:
        status = served.insights.status()
    assert (status.condition.state, status.journal_trouble) == (state, "")
    assert status.condition.sentence
    assert status.lag_records == 2
    assert status.lag_seconds is not None
    assert status.loss_in is not None
    assert 80 < status.lag_seconds < 110
    assert 3_600 - 110 < status.loss_in < 3_600 - 80
    assert told(status, "forebay_store_state", state=state) == 1
    assert told(status, "forebay_store_state", state="ok") == 0
    assert told(status, "forebay_lag_records", topic="forebay.tallies", partition="0") == 1


@pytest.mark.parametrize(
    ("code", "state"), [(242, State.READ_ONLY), (241, State.OUT_OF_MEMORY), (252, State.TOO_MANY_PARTS)]
)
def test_a_trouble_that_only_inserts_meet_is_known_from_the_loader_that_meets_it(
    served: World, front: Front, monkeypatch: pytest.MonkeyPatch, code: int, state: State
) -> None:
    """On a fleet the console never inserts, and the loader is another process: its word stands in the journal."""
    monkeypatch.setattr("forebay.loader.loop.SAY_EVERY", 0.0)
    with front.faulty(Kind.EXCEPTION, code, times=None):
        for _ in range(3):
            with contextlib.suppress(RetryLater):
                served.load()
        elsewhere = ClickHouse(front.dsn(served.store.database))
        served.rehouse(elsewhere)
        status = served.insights.status()
    assert status.condition.state == state
    assert "failures in a row" in status.condition.sentence
    assert status.dead_letters is not None
    assert status.loaders
    assert (status.loaders[0].loader, status.loaders[0].trouble) == ("loader", state)
    served.load()
    assert served.insights.status().condition.state == State.OK
    elsewhere.close()


def test_what_a_store_in_trouble_does_not_say_is_unknown_rather_than_nothing(served: World) -> None:
    well = served.insights.status()
    assert told(well, "forebay_store_dead_letters", topic="forebay.tallies", reason="undecodable") == 1
    assert told(well, "forebay_store_lost_records") == 0
    away(served)
    status = served.insights.status()
    assert (status.dead_letters, status.losses, status.lost_records, status.store, status.graphs) == (None,) * 5
    assert told(status, "forebay_store_dead_letters", topic="forebay.tallies", reason="undecodable") is None
    assert math.isnan(told(status, "forebay_store_lost_records") or 0)


def test_a_store_that_hangs_does_not_make_who_asks_hang(served: World, front: Front) -> None:
    patient = ClickHouse(front.dsn(served.store.database))
    with front.faulty(Kind.SLOW, 3, inserts=False):
        began = time.monotonic()
        condition, contents = stored(patient, list, None)(0.2)
        assert time.monotonic() - began < 2
    assert (condition.state, contents) == (State.SLOW, None)
    assert "has not answered within" in condition.sentence


def test_without_the_journal_status_says_so_and_answers_what_the_store_knows(served: World) -> None:
    settings = KafkaSettings(brokers="127.0.0.1:1")
    journal = KafkaJournal(settings, ["forebay.tallies"])
    insights = Insights(served.store, journal, "loaders", served.pipeline, time.time)
    status = insights.status()
    with pytest.raises(RetryLater):  # "unused" can't be said without knowing how fresh the store is
        insights.ask(served.scope)
    journal.close()
    assert "Kafka could not " in status.journal_trouble
    assert (status.lag_records, status.loss_in, status.journal, status.complete_up_to) == (None,) * 4
    assert status.condition.state == State.OK
    assert status.dead_letters is not None
    assert [letters.reason for letters in status.dead_letters] == ["undecodable"]
    assert told(status, "forebay_journal_up") == 0
    assert told(status, "forebay_lag_records", topic="forebay.tallies", partition="0") is None


def told(status: Status, metric: str, **labels: str) -> float | None:
    tell_status(status)
    return REGISTRY.get_sample_value(metric, labels)
