"""Days that are loaded again hold what they held, wherever that was killed; what can't be is refused untouched."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from killed import LOADER_STEPS, Killed, kill_at, killed_at
from reports import message, minute_of, report, shape, shape_record
from world import database

from forebay.core.execution import Executions, Outcome
from forebay.core.record import (
    SHAPES,
    TALLIES,
    TOPICS,
    ExecutionColumns,
    Record,
    Report,
    TallyColumns,
    decode,
)
from forebay.core.shape import Shape
from forebay.core.tally import Tallies
from forebay.errors import ForebayError, RetryLater, Stop
from forebay.insights.answers import Scope
from forebay.insights.insights import Insights
from forebay.journal.port import Message, Partition
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.loader.rebuild import Rebuilding
from forebay.steps import STEPS, on_step
from forebay.store.clickhouse import ClickHouse
from forebay.store.rebuilds import State, latest
from forebay.store.refill import Days, Refill
from forebay.store.window import EMBEDDED

GROUP, PIPELINE = "loaders", "test"
ORG = "o'ne \\ two"
REBUILD_STEPS = [step for step in STEPS if step.startswith("rebuild.")]
TODAY = datetime.now(UTC).date()
BATCH = 2_000
QUERY = shape("Q", "Query.a")
numbers = itertools.count()


@pytest.fixture(autouse=True)
def no_hook() -> Iterator[None]:
    yield
    on_step(None)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def days(first: int, last: int = 0) -> Days:
    return Days(ago(first), ago(last))


@dataclass
class Site:
    """A journal and a database of its own."""

    store: ClickHouse
    path: Path
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = SqliteJournal(self.path, TOPICS)
        self.now = int(time.time() * 1000)

    def append(self, agent: str, sequence: int, requests: dict[int, int], **fields: Any) -> None:
        """A report of so many requests so many days ago."""
        tallies: Tallies = {
            (minute_of(self.now) - 1440 * day, "v", QUERY.id(), agent, "1", 200): (count, 0, {10: count})
            for day, count in requests.items()
        }
        outcomes: Executions = {
            (minute_of(self.now) - 1440 * day, QUERY.id(), "Query.a", agent, "1"): Outcome(count, count)
            for day, count in requests.items()
        }
        seen = ExecutionColumns.of(outcomes)
        record = report(ORG, agent, sequence, tallies=tallies, received=self.now, executions=seen, **fields)
        self.journal.append([message(record)]).result()

    def append_raw(self, raw: bytes) -> None:
        self.journal.append([Message(TALLIES, "k", raw)]).result()

    def describe(self, of: Shape) -> None:
        self.journal.append([message(shape_record(ORG, of, received=self.now), SHAPES)]).result()

    def load(self) -> None:
        self.loader().drain()

    def loader(self) -> Loader:
        return Loader(self.journal.consumer(GROUP, TOPICS), self.store, PIPELINE, Pace(BATCH), time.monotonic)

    def rebuilding(self) -> Rebuilding:
        refill = Refill(self.store, EMBEDDED, ago(799))
        return Rebuilding(self.journal, self.store, refill, GROUP, PIPELINE, BATCH, self.told.append)

    def traffic(self) -> dict[tuple[str, date], int]:
        rows = self.store.query("SELECT client, toDate(time) AS d, sum(requests) AS n FROM traffic GROUP BY client, d")
        return {(row["client"], row["d"]): row["n"] for row in rows}

    def errors(self) -> dict[tuple[str, date], int]:
        """By field; as many as there are requests, unless a part of a report is missing."""
        rows = self.store.query("SELECT client, toDate(time) AS d, sum(errors) AS n FROM executions GROUP BY client, d")
        return {(row["client"], row["d"]): row["n"] for row in rows}

    def ledger(self) -> list[dict[str, Any]]:
        """Without its epochs."""
        return self.store.query("SELECT * EXCEPT epoch FROM ledger ORDER BY pipeline, topic, first_offset, org, graph")

    def insights(self) -> Insights:
        return Insights(self.store, self.journal, GROUP, PIPELINE, time.time)

    def verified(self) -> tuple[str, ...]:
        return self.insights().verify().differences

    def reasons(self, window: str) -> set[str]:
        return set(self.insights().ask(Scope(ORG, "g"), window).about.reasons)


@pytest.fixture
def site(store: ClickHouse, tmp_path: Path) -> Iterator[Site]:
    site = Site(database(store, f"rebuild{next(numbers)}"), tmp_path / "journal.sqlite3")
    yield site
    site.journal.close()


def filled(site: Site) -> None:
    """Four days with late tallies, repeats and dead letters, in many ranges."""
    site.describe(QUERY)
    for sequence in range(1, 10):
        site.append("a", sequence, dict.fromkeys(range(4), sequence))
        site.append("b", sequence, {sequence % 4: 100 * sequence})
        site.append("b", max(sequence - 2, 1), {0: 7})  # a repeat, as far as the agent's sequence tells
        if sequence % 3 == 0:
            site.append_raw(b"no record")
            site.load()
    site.load()


report_ = st.tuples(
    st.sampled_from("abc"),
    st.integers(1, 6),
    st.dictionaries(st.integers(0, 4), st.integers(1, 50), min_size=1, max_size=3),
)


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take many minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    log=st.lists(st.one_of(report_, st.just(b"poison")), min_size=1, max_size=30),
    pauses=st.sets(st.integers(0, 29), max_size=6),
    kill=st.one_of(st.none(), st.tuples(st.sampled_from(LOADER_STEPS), st.integers(1, 3))),
    chosen=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    stop=st.one_of(st.none(), st.tuples(st.sampled_from(REBUILD_STEPS), st.integers(1, 3))),
)
def test_any_log_is_rebuilt_to_what_it_was(
    store: ClickHouse,
    tmp_path: Path,
    log: list[Any],
    pauses: set[int],
    kill: tuple[str, int] | None,
    chosen: tuple[int, int],
    stop: tuple[str, int] | None,
) -> None:
    number = next(numbers)
    site = Site(database(store, f"rebuild{number}"), tmp_path / f"journal-{number}.sqlite3")
    expected: Counter[tuple[str, date]] = Counter()
    sent: set[tuple[str, int]] = set()
    for place, entry in enumerate(log):
        if isinstance(entry, bytes):
            site.append_raw(entry)
        else:
            agent, sequence, requests = entry
            site.append(agent, sequence, requests)
            if (agent, sequence) not in sent:
                sent.add((agent, sequence))
                expected.update({(agent, ago(day)): count for day, count in requests.items()})
        if place in pauses:
            site.load()
    if kill:
        kill_at(*kill)
    with contextlib.suppress(Killed):
        site.load()
    on_step(None)
    if stop:
        kill_at(*stop)
    with contextlib.suppress(Killed):
        site.rebuilding().run(days(max(chosen), min(chosen)))
    on_step(None)
    if stop:
        site.rebuilding().run(days(max(chosen), min(chosen)))
    site.load()
    assert site.traffic() == site.errors() == expected
    assert site.verified() == ()
    for table in ("traffic", "executions", "ledger"):
        site.store.command(f"OPTIMIZE TABLE {table} FINAL")
    assert site.traffic() == site.errors() == expected
    assert site.verified() == ()
    site.journal.close()


@pytest.mark.parametrize("loss", ["TRUNCATE TABLE", "DROP TABLE"])
def test_a_lost_table_of_executions_comes_back_and_days_without_it_are_known_as_hollow(site: Site, loss: str) -> None:
    site.append("a", 1, {0: 3, 3: 2})
    site.load()
    before = site.errors()
    site.store.command(f"{loss} executions")
    site.rebuilding().run(days(0))
    assert site.errors() == {("a", TODAY): 3}
    assert "hollow" in site.reasons("7d")
    site.rebuilding().run(days(3))
    assert site.errors() == before
    assert "hollow" not in site.reasons("7d")
    assert site.verified() == ()


@pytest.mark.parametrize("step", REBUILD_STEPS)
def test_killed_at_each_step_and_run_again_every_total_is_the_same(site: Site, step: str) -> None:
    filled(site)
    before, ledger = site.traffic(), site.ledger()
    with killed_at(step):
        site.rebuilding().run(days(2, 1))
    note = latest(site.store)
    assert note
    if step != "rebuild.finished":
        assert note.unfinished
        assert "rebuild" in site.reasons("7d")
        with pytest.raises(RetryLater, match=f"a rebuild of {ago(2)} to {ago(1)} is unfinished: run it again"):
            site.load()
    outcome = site.rebuilding().run(days(2, 1))
    assert site.traffic() == site.errors() == before
    assert site.ledger() == ledger
    assert site.verified() == ()
    assert "rebuild" not in site.reasons("7d")
    assert sum(outcome.after.values()) == sum(n for (_, day), n in before.items() if day in (ago(1), ago(2)))
    site.append("a", 99, {0: 1})
    site.append("a", 3, {0: 1})
    site.load()
    assert site.traffic()["a", TODAY] == before["a", TODAY] + 1


def test_days_of_every_age_are_emptied_and_only_these(site: Site) -> None:
    """Rows that were merged to hours and to days go too; the rest keeps even its rows as they are."""
    site.append("a", 1, {0: 1, 3: 2, 50: 4, 60: 8})
    site.append("a", 2, {0: 1, 3: 2, 50: 4, 60: 8})
    site.load()
    site.store.command("OPTIMIZE TABLE traffic FINAL")
    site.store.command(f"INSERT INTO traffic SELECT * FROM traffic WHERE toDate(time) IN ('{ago(3)}', '{ago(50)}')")
    site.store.command(f"INSERT INTO traffic SELECT * FROM traffic WHERE toDate(time) = '{ago(60)}'")
    assert site.traffic()["a", ago(50)] == 16
    site.rebuilding().run(days(50, 3))
    assert site.errors() == {("a", TODAY): 2, ("a", ago(3)): 4, ("a", ago(50)): 8, ("a", ago(60)): 16}
    assert site.traffic() == {("a", TODAY): 2, ("a", ago(3)): 4, ("a", ago(50)): 8, ("a", ago(60)): 32}
    site.rebuilding().run(days(60, 60))
    assert site.verified() == ()


@pytest.mark.parametrize("step", LOADER_STEPS[1:5])
def test_what_a_killed_loader_had_declared_is_settled_first(site: Site, step: str) -> None:
    filled(site)
    site.append("c", 1, {1: 1_000, 3: 1_000})
    with killed_at(step):
        site.load()
    site.rebuilding().run(days(1))
    site.load()
    assert (site.traffic()["c", ago(1)], site.traffic()["c", ago(3)]) == (1_000, 1_000)
    assert site.verified() == ()


def test_what_was_inserted_and_not_confirmed_counts_once_though_its_token_is_forgotten(site: Site) -> None:
    """With the table goes what it remembered of inserts: who loads the range once more then counts it twice."""
    filled(site)
    site.append("c", 1, {1: 1_000})
    with killed_at("loader.inserted"):
        site.load()
    before = site.traffic()
    assert before["c", ago(1)] == 1_000
    site.store.command("TRUNCATE TABLE traffic")
    site.rebuilding().run(days(3))
    site.load()
    assert site.traffic() == before
    assert site.verified() == ()


@pytest.mark.parametrize("loss", ["DROP TABLE", "TRUNCATE TABLE"])
def test_a_lost_table_of_traffic_comes_back_as_far_as_the_log_holds_it(site: Site, loss: str) -> None:
    filled(site)
    site.append("old", 1, {20: 5})
    site.load()
    before = site.traffic()
    site.store.command(f"{loss} traffic")
    assert site.rebuilding().plan(days(3)).before.keys() <= set()
    site.rebuilding().run(days(3))
    assert site.traffic() == {key: n for key, n in before.items() if key[0] != "old"}
    assert "hollow" in site.reasons("30d")
    assert "hollow" not in site.reasons("7d")
    site.rebuilding().run(days(20, 20))
    assert site.traffic() == before
    assert site.verified() == ()
    assert "hollow" not in site.reasons("30d")


@pytest.mark.parametrize(
    "loss",
    [
        "DROP TABLE shape_entries",
        "TRUNCATE TABLE shape_entries",
        "ALTER TABLE shape_entries DELETE WHERE coordinate = 'Query.late' SETTINGS mutations_sync = 2",
        "DROP TABLE shapes",
    ],
)
def test_lost_shapes_come_back_and_those_that_do_not_are_not_taken_for_unused(site: Site, loss: str) -> None:
    filled(site)
    site.journal.append([message(shape_record(ORG, shape("Late", "Query.late"), received=site.now), SHAPES)]).result()
    site.load()
    tables = ("SELECT * FROM shapes FINAL ORDER BY shape", "SELECT * FROM shape_entries FINAL ORDER BY coordinate")
    before = [site.store.query(sql) for sql in tables]
    site.store.command(loss)
    site.rebuilding().run(days(1))
    assert [site.store.query(sql) for sql in tables] == before
    assert site.verified() == ()
    assert "orphans" not in site.reasons("7d")
    site.journal.trim(Partition(SHAPES, 0), below=1, appended_before=2**62)
    site.store.command("TRUNCATE TABLE shape_entries")
    site.rebuilding().run(days(1))
    assert [row["name"] for row in site.store.query(tables[0])] == ["Late"]
    assert "orphans" in site.reasons("7d")


def refused(site: Site, chosen: Days) -> str:
    """Why; nothing has changed."""
    before, ledger = site.traffic(), site.ledger()
    with pytest.raises(ForebayError) as error:
        site.rebuilding().run(chosen)
    assert (site.traffic(), site.ledger()) == (before, ledger)
    note = latest(site.store)
    assert note is None or not note.unfinished
    site.load()
    return str(error.value)


def test_days_that_the_log_no_longer_holds_in_full_are_refused_by_name(site: Site) -> None:
    site.append("a", 1, {3: 1, 2: 1})
    site.load()
    site.append("a", 2, {2: 1, 1: 1})
    site.load()
    site.journal.trim(Partition(TALLIES, 0), below=1, appended_before=2**62)
    why = f"the log does not hold {ago(3)} to {ago(2)} in full: of {ago(3)}, forebay.tallies[0] begins at offset 1"
    told = refused(site, days(4, 0))
    assert told.startswith(why)
    assert told.endswith(f"; {ago(1)} to {TODAY} can be rebuilt")
    site.rebuilding().run(days(1))
    assert site.verified() == ()


def test_days_that_came_from_elsewhere_are_refused(site: Site) -> None:
    filled(site)
    other = Loader(site.journal.consumer("others", TOPICS), site.store, "other", Pace(), time.monotonic)
    other.drain()
    assert "the pipeline 'other' loaded into this store too" in refused(site, days(1))


def test_days_of_a_topic_that_was_deleted_are_refused(site: Site) -> None:
    filled(site)
    site.journal.close()
    site.path.unlink()
    site.journal = SqliteJournal(site.path, TOPICS)
    assert "some was loaded from a forebay.tallies[0] that was deleted" in refused(site, days(1))


def test_days_that_others_pulled_are_refused(site: Site) -> None:
    filled(site)
    site.store.command(f"INSERT INTO traffic (org, graph, time, requests) VALUES ('o', 'g', '{ago(9)} 00:00:00', 5)")
    assert "5 requests that no loader of Forebay's has loaded" in refused(site, days(9))


def test_without_its_ledger_nothing_is_rebuilt(site: Site) -> None:
    filled(site)
    site.store.command("ALTER TABLE ledger DELETE WHERE first_offset = 0 SETTINGS mutations_sync = 2")
    assert "the ledger does not account for all" in refused(site, days(1))
    site.store.command("DROP TABLE ledger")
    with pytest.raises(Stop, match="the ledger was dropped"):
        site.rebuilding().run(days(1))


def test_what_can_no_longer_be_read_is_found_before_anything_is_emptied(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(site)

    def stricter(raw: bytes) -> Record:
        return decode(raw if b'"sequence":7' not in raw else b"{")

    monkeypatch.setattr("forebay.loader.block.decode", stricter)
    assert "this Forebay can't read all that was loaded once" in refused(site, days(1))


def test_what_a_bug_made_of_the_days_is_put_right_in_traffic_and_ledger(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader that counted everything twice, and one that left a client's tallies out altogether."""

    def wrong(raw: bytes) -> Record:
        record = decode(raw)
        assert isinstance(record, Report)
        record.requests = [2 * count for count in record.requests]
        for name in TallyColumns.__struct_fields__ if record.agent == "b" else ():
            setattr(record, name, [])
        return record

    with monkeypatch.context() as patch:
        patch.setattr("forebay.loader.block.decode", wrong)
        for sequence in range(1, 5):
            site.append("a", sequence, {0: 1, 1: 1})
            site.append("b", sequence, {0: 1})
            site.load()
    assert site.traffic() == {("a", TODAY): 8, ("a", ago(1)): 8}
    assert site.verified()
    outcome = site.rebuilding().run(days(1))
    assert (outcome.before[TODAY], outcome.after[TODAY]) == (8, 8)
    assert site.traffic() == {("a", TODAY): 4, ("a", ago(1)): 4, ("b", TODAY): 4}
    assert site.verified() == ()


def test_a_rebuild_that_can_not_be_finished_is_given_up_and_its_days_stay_known_as_hollow(site: Site) -> None:
    filled(site)
    with pytest.raises(Stop, match="no rebuild is unfinished"):
        site.rebuilding().give_up()
    with killed_at("rebuild.inserted", 2):
        site.rebuilding().run(days(2, 1))
    with pytest.raises(Stop, match="for these days at least"):
        site.rebuilding().run(days(1))
    site.journal.trim(Partition(TALLIES, 0), below=10, appended_before=2**62)
    with pytest.raises(Stop, match="does not hold"):
        site.rebuilding().run(days(2, 1))
    assert any("is unfinished" in difference for difference in site.verified())
    site.rebuilding().give_up()
    site.append("a", 99, {0: 1})
    site.load()
    assert "hollow" in site.reasons("7d")
    assert {row["epoch"] for row in site.store.query("SELECT DISTINCT epoch FROM ledger")} == {0}
    assert all(f"on {ago(1)}" in text or f"on {ago(2)}" in text for text in site.verified())


@pytest.mark.parametrize("step", ["rebuild.noted", "rebuild.loaded"])
def test_given_up_before_or_after_the_days_were_empty_nothing_is_missing(site: Site, step: str) -> None:
    filled(site)
    before, ledger = site.traffic(), site.ledger()
    with killed_at(step):
        site.rebuilding().run(days(2, 1))
    state = site.rebuilding().give_up().state
    assert state is (State.BEGUN if step == "rebuild.noted" else State.LOADED)
    site.load()
    assert (site.traffic(), site.ledger()) == (before, ledger)
    assert site.verified() == ()
    assert "hollow" not in site.reasons("7d")


@pytest.mark.parametrize("loss", ["DROP TABLE", "TRUNCATE TABLE"])
def test_which_shapes_a_window_has_is_known_again(site: Site, loss: str) -> None:
    filled(site)
    before = site.store.query("SELECT * FROM shape_seen FINAL")
    site.store.command(f"{loss} shape_seen")
    with killed_at("rebuild.noted"):
        site.rebuilding().run(days(1))
    note = latest(site.store)
    assert note
    assert note.hollow == tuple(ago(day) for day in (3, 2, 1, 0))
    site.rebuilding().run(days(1))
    assert site.store.query("SELECT * FROM shape_seen FINAL") == before
    assert "hollow" not in site.reasons("7d")


def test_notes_and_views_that_were_dropped_are_made_anew(site: Site) -> None:
    filled(site)
    before = site.traffic()
    site.rebuilding().run(days(1))
    for name in ("TABLE rebuilds", "VIEW traffic_view", "VIEW ledger_days"):
        site.store.command(f"DROP {name}")
    with pytest.raises(Stop, match="lacks a table"):
        site.load()
    site.rebuilding().run(days(1))
    site.append("new", 1, {0: 5})
    site.load()
    assert site.traffic() == before | {("new", TODAY): 5}
    assert site.verified() == ()


def test_a_replayed_dead_letter_counts_once_after_a_rebuild_too(site: Site) -> None:
    site.describe(QUERY)
    record = report(ORG, "a", 1, 10, received=site.now)
    site.journal.append([message(record, SHAPES)]).result()
    site.load()
    insights = site.insights()
    for _ in range(2):
        insights.dead_letters.replay_all()
        site.load()
        site.rebuilding().run(days(0))
        assert site.traffic() == {("web", TODAY): 10}
        assert site.verified() == ()
