"""What every journal promises (`journal/port.py`), on each adapter that there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.errors import RetryLater, Stop
from forebay.journal.port import Commit, Journal, Message, Partition
from forebay.journal.sqlite import SqliteJournal

TOPIC = "letters"
FIRST = Partition(TOPIC, 0)


def open_journal(folder: Path) -> SqliteJournal:
    return SqliteJournal(folder / "journal.sqlite3", [TOPIC, "other"])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = open_journal(tmp_path)
    yield journal
    journal.close()


def append(journal: Journal, *values: bytes, topic: str = TOPIC) -> None:
    journal.append([Message(topic, "key", value) for value in values]).result(timeout=30)


def test_records_are_read_in_the_order_in_which_they_were_appended(journal: SqliteJournal) -> None:
    append(journal, b"a", b"b")
    append(journal, b"c")
    assert [(record.offset, record.value) for record in journal.read(FIRST, 0, 10)] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert journal.bounds(FIRST) == (0, 3)


def test_reading_stops_at_either_limit_but_gives_at_least_one_record(journal: SqliteJournal) -> None:
    append(journal, b"a" * 100, b"b" * 100, b"c" * 100)
    assert len(journal.read(FIRST, 0, 2)) == 2
    assert len(journal.read(FIRST, 0, 10, max_bytes=250)) == 2
    assert len(journal.read(FIRST, 1, 10, max_bytes=1)) == 1
    assert journal.read(FIRST, 3, 10) == []


def test_an_append_to_several_topics_lands_in_all_of_them(journal: SqliteJournal) -> None:
    journal.append([Message("other", "k", b"x"), Message(TOPIC, "k", b"y")]).result(timeout=30)
    assert [record.value for record in journal.read(Partition("other", 0), 0, 10)] == [b"x"]
    assert [record.value for record in journal.read(FIRST, 0, 10)] == [b"y"]


def test_a_commit_keeps_offset_and_metadata_together_and_apart_from_other_groups(journal: SqliteJournal) -> None:
    append(journal, b"a", b"b")
    consumer = journal.consumer("loaders", [TOPIC])
    assert journal.committed("loaders", FIRST) is None
    consumer.poll(0)
    consumer.commit(FIRST, 1, "next is 1-2")
    assert journal.committed("loaders", FIRST) == Commit(1, "next is 1-2")
    consumer.commit(FIRST, 2, "")
    assert journal.committed("loaders", FIRST) == Commit(2, "")
    assert journal.committed("others", FIRST) is None


def test_a_consumer_is_told_what_it_owns_before_it_gets_records_from_its_commit_on(journal: SqliteJournal) -> None:
    append(journal, b"a", b"b")
    first = journal.consumer("loaders", [TOPIC])
    [assigned] = first.poll(0).assigned
    assert (assigned.partition, assigned.committed, assigned.bounds) == (FIRST, None, (0, 2))
    assert [record.offset for record in first.poll(0).records[FIRST]] == [0, 1]
    first.commit(FIRST, 1, "")
    first.close()

    second = journal.consumer("loaders", [TOPIC])
    [assigned] = second.poll(0).assigned
    assert assigned.committed == Commit(1, "")
    assert [record.offset for record in second.poll(0).records[FIRST]] == [1]
    assert second.poll(0).records == {}


def test_a_paused_partition_delivers_nothing_and_goes_on_where_it_stood(journal: SqliteJournal) -> None:
    append(journal, b"a")
    consumer = journal.consumer("loaders", [TOPIC, "other"])
    consumer.poll(0)
    append(journal, b"x", topic="other")
    assert list(consumer.poll(0, paused=frozenset({FIRST})).records) == [Partition("other", 0)]
    assert list(consumer.poll(0).records) == [FIRST]


def test_everything_is_there_after_reopening_and_the_topic_keeps_its_id(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, b"a", b"b")
    topic_id = journal.topic_id(TOPIC)
    journal.consumer("loaders", [TOPIC]).commit(FIRST, 1, "m")
    journal.close()
    again = open_journal(tmp_path)
    assert again.topic_id(TOPIC) == topic_id != again.topic_id("other")
    assert again.committed("loaders", FIRST) == Commit(1, "m")
    append(again, b"c")
    assert [record.offset for record in again.read(FIRST, 0, 10)] == [0, 1, 2]
    again.close()


def test_offsets_are_never_given_twice_not_even_after_everything_was_trimmed(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, b"a", b"b")
    assert journal.trim(FIRST, below=2, appended_before=2**62) == 2
    assert journal.bounds(FIRST) == (2, 2)
    journal.close()
    again = open_journal(tmp_path)
    append(again, b"c")
    assert [record.offset for record in again.read(FIRST, 0, 10)] == [2]
    again.close()


def test_trimming_keeps_what_is_not_below_the_offset_or_not_old_enough(journal: SqliteJournal) -> None:
    append(journal, b"a", b"b")
    assert journal.trim(FIRST, below=1, appended_before=2**62) == 1
    assert journal.trim(FIRST, below=2, appended_before=0) == 0
    assert journal.bounds(FIRST) == (1, 2)


def test_a_full_disk_refuses_the_append_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    append(journal, b"a")
    pages = "PRAGMA max_page_count = 16"
    journal._submit(lambda writer: writer.execute(pages).fetchone()).result()  # SQLite's own way to a full disk
    with pytest.raises(RetryLater, match="full"):
        append(journal, b"b" * 2**20)
    append(journal, b"c")
    assert [record.value for record in journal.read(FIRST, 0, 10)] == [b"a", b"c"]
    journal.close()


def test_a_file_of_a_newer_version_or_of_something_else_is_left_alone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal._submit(lambda writer: writer.execute("PRAGMA user_version = 99")).result()
    journal.close()
    with pytest.raises(Stop, match="newer Forebay"):
        open_journal(tmp_path)
    (tmp_path / "journal.sqlite3").write_bytes(b"no database " * 100)
    with pytest.raises(Stop, match="cannot be opened"):
        open_journal(tmp_path)
    assert (tmp_path / "journal.sqlite3").read_bytes() == b"no database " * 100


def test_a_caller_that_gives_up_waiting_disturbs_nobody(journal: SqliteJournal) -> None:
    futures = [journal.append([Message(TOPIC, "k", b"a")]) for _ in range(100)]
    assert not any(future.cancel() for future in futures)
    append(journal, b"b")
    assert journal.bounds(FIRST) == (0, 101)


def test_an_unknown_topic_is_refused_at_once(journal: SqliteJournal) -> None:
    with pytest.raises(ValueError, match="no such topic"):
        append(journal, b"a", topic="nowhere")
