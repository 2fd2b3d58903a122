"""From the journal to the store every count lands once, wherever the loader is killed."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from killed import LOADER_STEPS, Killed, kill_at, killed_at
from loader.ailing_store import Ailing
from msgspec import UNSET
from reports import executions, message, report

from forebay.core.intent import Range, Word, from_metadata, to_metadata, topic_id_in, word_in
from forebay.core.record import TALLIES, TOPICS
from forebay.errors import RetryLater, Stop
from forebay.journal.port import Message, Partition
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.steps import on_step
from forebay.store.port import Store

GROUP = "loaders"
WORD = Word(1_795_000_000, "host:1", "out_of_memory", "pauses 4 s after 2 failures in a row, the latest: out of memory")
runs = itertools.count()


@pytest.fixture(autouse=True)
def no_hook() -> Iterator[None]:
    yield
    on_step(None)


def loader_on(journal: SqliteJournal, store: Store, pipeline: str = "test") -> Loader:
    return Loader(journal.consumer(GROUP, TOPICS), store, pipeline, Pace(batch_bytes=3_000), time.monotonic)


def landed(store: Store, org: str) -> dict[str, int]:
    """What each table says of an organisation's requests."""
    totals = {
        table: store.query(f"SELECT sum(requests) AS n FROM {table} WHERE org = {{org:String}}", {"org": org})[0]["n"]
        for table in ("traffic", "ledger")
    }
    days = "SELECT sum(requests) AS n FROM ledger_days WHERE org = {org:String}"
    return totals | {"days": store.query(days, {"org": org})[0]["n"]}


def outcomes(store: Store, org: str) -> set[int]:
    """Errors by field, executions seen, and half of what the ledger says of both together."""
    [row] = store.query(
        "SELECT sum(errors) AS errors, sum(sampled) AS seen, sum(executions) AS estimated FROM executions"
        " WHERE org = {org:String}",
        {"org": org},
    )
    [ledger] = store.query("SELECT sum(counted) AS n FROM ledger_executions WHERE org = {org:String}", {"org": org})
    return {row["errors"], row["seen"], row["estimated"] // 10, ledger["n"] // 2}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    log=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 8)), min_size=1, max_size=40),
    kills=st.lists(st.tuples(st.sampled_from(LOADER_STEPS), st.integers(1, 3)), max_size=6),
)
def test_any_arrivals_repeats_kills_and_replays_count_each_report_once(
    store: Store, log: list[tuple[str, int]], kills: list[tuple[str, int]]
) -> None:
    org = f"exactly-once-{next(runs)}"
    now = int(time.time() * 1000)
    weight = {"a": 1, "b": 100, "c": 10_000}
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.sqlite3", TOPICS)
        parts = [log[n::3] for n in range(3)]
        attempts: list[tuple[str, int] | None] = [*kills, None]

        def append(part: list[tuple[str, int]]) -> None:
            for agent, sequence in part:
                requests = weight[agent] * sequence
                seen = executions(requests, now) if agent != "a" else UNSET
                record = report(org, agent, sequence, requests, received=now, executions=seen)
                journal.append([message(record)]).result()

        for number, kill in enumerate(attempts):
            append(parts[number] if number < len(parts) else [])
            on_step(None)
            if kill:
                kill_at(*kill)
            with contextlib.suppress(Killed):
                loader_on(journal, store).drain()
        on_step(None)
        for part in parts[len(attempts) :]:
            append(part)
        loader_on(journal, store).drain()
        journal.close()
    expected = sum(weight[agent] * sequence for agent, sequence in set(log))
    assert set(landed(store, org).values()) == {expected}
    assert outcomes(store, org) == {sum(weight[agent] * sequence for agent, sequence in set(log) if agent != "a")}
    [ledger] = store.query(
        "SELECT sum(repeat_requests) AS repeats, sum(records) AS records FROM ledger WHERE org = {org:String}",
        {"org": org},
    )
    appended = sum(weight[agent] * sequence for agent, sequence in log)
    assert (ledger["repeats"], ledger["records"]) == (appended - expected, len(log))


@pytest.mark.parametrize("step", LOADER_STEPS)
def test_killed_at_each_step_the_next_loader_goes_on_exactly(store: Store, tmp_path: Path, step: str) -> None:
    org = f"killed-at-{step}"
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    now = int(time.time() * 1000)
    for sequence in range(1, 31):
        record = report(org, "a", sequence, sequence, received=now, executions=executions(sequence, now))
        journal.append([message(record)]).result()
    with killed_at(step):
        loader_on(journal, store).drain()
    loader_on(journal, store).drain()
    assert set(landed(store, org).values()) == outcomes(store, org) == {sum(range(1, 31))}
    journal.close()


def test_without_the_token_a_replay_would_count_twice(store: Store, tmp_path: Path) -> None:
    """The harness notices when the protocol is broken: another pipeline's token is another insert."""
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    journal.append([message(report("twice", "a", 1, requests=7, received=int(time.time() * 1000)))]).result()
    with killed_at("loader.inserted"):
        loader_on(journal, store, "one").drain()
    loader_on(journal, store, "two").drain()
    assert landed(store, "twice")["traffic"] == 14
    journal.close()


def test_a_bad_record_does_not_hold_up_its_neighbours(store: Store, tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    good = report("poison", "a", 1, requests=7, received=int(time.time() * 1000))
    journal.append([Message(TALLIES, "k", b"poison"), message(good), Message(TALLIES, "k", b"\x00")]).result()
    loader_on(journal, store, "poisoned").drain()
    assert set(landed(store, "poison").values()) == {7}
    letters = store.query("SELECT offset, reason, raw FROM dead_letters WHERE pipeline = 'poisoned' ORDER BY offset")
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [(0, "undecodable"), (2, "undecodable")]
    journal.close()


def lost_records(store: Store, pipeline: str) -> list[tuple[int, int, int]]:
    rows = store.query(
        "SELECT first_offset, last_offset, lost_records FROM ledger"
        " WHERE pipeline = {p:String} AND lost_records > 0 ORDER BY first_offset",
        {"p": pipeline},
    )
    return [(row["first_offset"], row["last_offset"], row["lost_records"]) for row in rows]


def overtaken(journal: SqliteJournal, org: str, below: int) -> None:
    """Ten reports, nothing loaded, and retention that has taken those below an offset."""
    now = int(time.time() * 1000)
    for sequence in range(1, 11):
        journal.append([message(report(org, "a", sequence, requests=sequence, received=now))]).result()
    journal.trim(Partition(TALLIES, 0), below=below, appended_before=2**62)


@pytest.mark.parametrize("step", [None, "loader.gathered", "loader.declared", "loader.prepared", "loader.inserted"])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "never begun"])
def test_what_retention_took_unread_is_counted_exactly_once_and_the_rest_is_loaded(
    store: Store, tmp_path: Path, step: str | None, begun: bool
) -> None:
    org = f"overtaken-{step}-{begun}"
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    if begun:
        journal.commit(GROUP, Partition(TALLIES, 0), 0, to_metadata(journal.topic_id(TALLIES), None, 0, WORD))
    overtaken(journal, org, below=4)
    if step:
        with killed_at(step):
            loader_on(journal, store, org).drain()
    loader_on(journal, store, org).drain()
    assert lost_records(store, org) == [(0, 3, 4)]
    assert set(landed(store, org).values()) == {sum(range(5, 11))}
    journal.close()


@pytest.mark.parametrize(("step", "lost"), [("loader.inserted", []), ("loader.prepared", [(0, 3, 4)])])
def test_a_declared_range_that_retention_has_taken_counts_as_lost_only_if_it_was_not_inserted(
    store: Store, tmp_path: Path, step: str, lost: list[tuple[int, int, int]]
) -> None:
    org = f"declared-{step}"
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    overtaken(journal, org, below=0)
    with killed_at(step):
        Loader(journal.consumer(GROUP, TOPICS), store, org, Pace(), time.monotonic).drain()
    journal.trim(Partition(TALLIES, 0), below=4, appended_before=2**62)
    loader_on(journal, store, org).drain()
    assert lost_records(store, org) == lost
    assert landed(store, org)["traffic"] == (sum(range(5, 11)) if lost else sum(range(1, 11)))
    journal.close()


def test_a_place_that_has_vanished_from_the_journal_is_found_in_the_ledger(store: Store, tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    overtaken(journal, "vanished", below=0)
    loader_on(journal, store, "vanished").drain()
    journal._submit(lambda writer: writer.execute("DELETE FROM consumer_commit")).result()
    journal.append([message(report("vanished", "a", 11, requests=11, received=int(time.time() * 1000)))]).result()
    loader_on(journal, store, "vanished").drain()
    assert set(landed(store, "vanished").values()) == {sum(range(1, 12))}
    journal.close()


def test_a_loader_that_slept_before_its_insert_first_asks_whose_the_partition_is(store: Store, tmp_path: Path) -> None:
    """What was prepared long ago is not sent: its token may be forgotten."""
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    overtaken(journal, "asleep", below=0)
    now = 0.0
    slept: list[str] = []

    def sleep(step: str) -> None:
        nonlocal now
        if step == "loader.prepared" and not slept:
            slept.append(step)
            now += 3_600
        elif step == "loader.inserted":
            assert polls[-1] >= 3_600

    polls: list[float] = []
    consumer = journal.consumer(GROUP, TOPICS)
    poll = consumer.poll

    def polled(*arguments: Any, **more: Any) -> Any:
        polls.append(now)
        return poll(*arguments, **more)

    consumer.poll = polled  # type: ignore[method-assign]  # only watched
    on_step(sleep)
    Loader(consumer, store, "asleep", Pace(), lambda: now).drain()
    assert slept
    assert landed(store, "asleep")["traffic"] == sum(range(1, 11))
    journal.close()


def test_while_inserts_fail_the_commit_is_made_again_as_it_is_for_its_word(store: Store, tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    partition, topic_id = Partition(TALLIES, 0), journal.topic_id(TALLIES)
    time_of = {"now": 0.0}
    received = int(time.time() * 1000)
    for sequence in range(1, 4):
        journal.append([message(report("telling", "a", sequence, requests=sequence, received=received))]).result()
    ailing = Ailing(store, ["read_only"] * 4)
    consumer = journal.consumer(GROUP, TOPICS)

    def wall() -> float:
        return 1_795_000_000 + time_of["now"]

    loader = Loader(consumer, ailing, "telling", Pace(), lambda: time_of["now"], name="här 1", wall=wall)
    words: list[Word] = []
    while not ailing.tokens:
        time_of["now"] += 1.0
        with contextlib.suppress(RetryLater):
            loader.step()
        commit = journal.committed(GROUP, partition)
        if commit and not ailing.tokens:
            assert (commit.offset, from_metadata(commit.metadata, topic_id, 0)) == (0, Range(0, 3))
            word = word_in(commit.metadata)
            assert word
            if word not in words:
                words.append(word)
            # What comes in meanwhile changes nothing of what is declared.
            journal.append([message(report("telling", "b", len(words), received=received))]).result()
    assert [word.trouble for word in words][:2] == ["", "read_only"]
    assert {word.loader for word in words} == {"h?r_1"}
    assert words[-1].pace.startswith("pauses ")
    assert all(after.at - before.at >= 5 for before, after in itertools.pairwise(words))
    loader.drain()
    last = journal.committed(GROUP, partition)
    assert last
    assert word_in(last.metadata) == Word(int(wall()), "h?r_1", "", "at most one insert in 0.5 s: all is well")
    assert landed(store, "telling")["traffic"] == sum(range(1, 4)) + len(words)
    journal.close()


@given(st.text(), st.text(), st.text(), st.integers(0, 2**40))
def test_whatever_a_loader_says_its_intent_is_read_back(name: str, trouble: str, pace: str, at: int) -> None:
    text = to_metadata("topic-id", Range(5, 9), 2, Word(at, name, trouble, pace))
    assert len(text) < 1_000
    assert text.isascii()
    assert text.isprintable()
    assert from_metadata(text, "topic-id", 2) == Range(5, 9)
    word = word_in(text)
    assert word
    assert word.at == at


def test_a_commit_of_before_loaders_had_a_word_is_read_as_ever() -> None:
    text = "v1 topic-id 5-9 2 bba69fa9"
    assert from_metadata(text, "topic-id", 2) == Range(5, 9)
    assert (topic_id_in(text), word_in(text)) == ("topic-id", None)


def test_an_intent_is_read_back_exactly_and_anything_else_is_refused() -> None:
    text = to_metadata("topic-id", Range(5, 9), epoch=2, word=WORD)
    assert from_metadata(text + "\0", "topic-id", 2) == Range(5, 9)
    assert from_metadata(to_metadata("topic-id", None, 0, WORD), "topic-id", 0) is None
    assert topic_id_in(text) == "topic-id"
    for bad in ("", "hello", text[:-1] + "x", text.replace("5-9", "5-8"), text + " trailing"):
        with pytest.raises(Stop, match="not written by Forebay"):
            from_metadata(bad, "topic-id", 2)
    with pytest.raises(Stop, match="created again"):
        from_metadata(text, "another", 2)
    with pytest.raises(Stop, match="epoch"):
        from_metadata(text, "topic-id", 3)
