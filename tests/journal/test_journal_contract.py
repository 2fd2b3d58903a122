"""What every journal promises (`journal/port.py`), on each adapter that there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka.broker import Broker
from polling import Follower

from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Commit, Journal, Lost, Message, Partition, Retention
from forebay.journal.sqlite import SqliteJournal


@dataclass
class Place:
    """Where a journal lives, with two empty topics of one partition each.  What it opens is closed with the test."""

    open_journal: Callable[[], Journal]
    trim: Callable[[int], object]  # forget what is below this offset in the first topic, as retention does
    topic: str
    other: str
    stack: ExitStack

    @property
    def group(self) -> str:
        return f"loaders of {self.topic}"

    @property
    def first(self) -> Partition:
        return Partition(self.topic, 0)

    def open(self) -> Journal:
        return self.stack.enter_context(closing(self.open_journal()))

    def follow(self, journal: Journal, *topics: str) -> Follower:
        return Follower(self.stack.enter_context(closing(journal.consumer(self.group, topics or [self.topic]))))


@pytest.fixture(params=["sqlite", "kafka-consumer", "kafka-classic"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield sqlite(tmp_path, stack)
        else:
            protocol = request.param.removeprefix("kafka-")
            yield kafka(request.getfixturevalue("broker"), protocol, stack)


def sqlite(folder: Path, stack: ExitStack) -> Place:
    def opened() -> SqliteJournal:
        return SqliteJournal(folder / "journal.sqlite3", ["letters", "other"])

    def trim(below: int) -> None:
        with closing(opened()) as journal:
            journal.trim(Partition("letters", 0), below, appended_before=2**62)

    return Place(opened, trim, "letters", "other", stack)


def kafka(broker: Broker, protocol: str, stack: ExitStack) -> Place:
    topic, other = broker.topic(), broker.topic("other")
    settings = broker.settings(protocol=protocol)
    return Place(
        lambda: KafkaJournal(settings, [topic, other]), lambda below: broker.trim(topic, below), topic, other, stack
    )


@pytest.fixture
def journal(place: Place) -> Journal:
    return place.open()


def append(journal: Journal, topic: str, *values: bytes) -> None:
    journal.append([Message(topic, "key", value) for value in values]).result(timeout=30)


def test_records_are_read_in_the_order_in_which_they_were_appended(place: Place, journal: Journal) -> None:
    append(journal, place.topic, b"a", b"b")
    append(journal, place.topic, b"c")
    assert [(record.offset, record.value) for record in journal.read(place.first, 0, 10)] == [
        (0, b"a"),
        (1, b"b"),
        (2, b"c"),
    ]
    assert journal.bounds(place.first) == (0, 3)
    assert journal.partitions(place.topic) == [place.first]


def test_a_record_says_when_it_was_appended(place: Place, journal: Journal) -> None:
    before = int(time.time() * 1000)
    append(journal, place.topic, b"a")
    assert before <= journal.read(place.first, 0, 1)[0].appended <= time.time() * 1000


def test_it_says_for_how_long_a_record_is_kept_that_nobody_has_loaded(place: Place, journal: Journal) -> None:
    assert journal.retention(place.topic) in (
        Retention(),
        Retention(7 * 86_400),
    )  # SQLite keeps it; Kafka's own default


def test_reading_stops_at_either_limit_but_gives_at_least_one_record(place: Place, journal: Journal) -> None:
    append(journal, place.topic, b"a" * 100, b"b" * 100, b"c" * 100)
    assert len(journal.read(place.first, 0, 2)) == 2
    assert len(journal.read(place.first, 0, 10, max_bytes=250)) == 2
    assert len(journal.read(place.first, 1, 10, max_bytes=1)) == 1
    assert journal.read(place.first, 3, 10) == []


def test_many_threads_read_at_once_and_disturb_no_consumer(place: Place, journal: Journal) -> None:
    append(journal, place.topic, b"a", b"b", b"c")
    follower = place.follow(journal)
    follower.assigned()
    with ThreadPoolExecutor(8) as threads:
        reads = list(threads.map(lambda n: journal.read(place.first, n % 3, 10), range(24)))
    assert [records[0].offset for records in reads] == [n % 3 for n in range(24)]
    assert [record.value for record in follower.records(place.first, 3)] == [b"a", b"b", b"c"]


def test_an_append_to_several_topics_lands_in_all_of_them(place: Place, journal: Journal) -> None:
    messages = [Message(place.other, "k", b"x"), Message(place.topic, "k", b"y"), Message(place.other, "k", b"z")]
    journal.append(messages).result(timeout=30)
    assert [record.value for record in journal.read(Partition(place.other, 0), 0, 10)] == [b"x", b"z"]
    assert [record.value for record in journal.read(place.first, 0, 10)] == [b"y"]


def test_an_append_of_nothing_succeeds(journal: Journal) -> None:
    journal.append([]).result(timeout=30)


def test_who_stops_waiting_for_an_append_neither_takes_it_back_nor_disturbs_the_next(
    place: Place, journal: Journal
) -> None:
    assert not journal.append([Message(place.topic, "k", b"a")]).cancel()
    append(journal, place.topic, b"b")
    assert [record.value for record in journal.read(place.first, 0, 10)] == [b"a", b"b"]


def test_an_unknown_topic_is_refused_at_once(journal: Journal) -> None:
    with pytest.raises(ValueError, match="no such topic"):
        append(journal, "nowhere", b"a")


def test_a_commit_keeps_offset_and_metadata_together_and_apart_from_other_groups(
    place: Place, journal: Journal
) -> None:
    append(journal, place.topic, b"a", b"b")
    follower = place.follow(journal)
    assert journal.committed(place.group, place.first) is None
    follower.assigned()
    follower.consumer.commit(place.first, 1, "next is 1-2")
    assert journal.committed(place.group, place.first) == Commit(1, "next is 1-2")
    follower.consumer.commit(place.first, 2, "")
    assert journal.committed(place.group, place.first) == Commit(2, "")
    assert journal.committed("others", place.first) is None


def test_who_does_not_own_a_partition_cannot_commit_it(place: Place, journal: Journal) -> None:
    follower = place.follow(journal)
    with pytest.raises(Lost):
        follower.consumer.commit(place.first, 1, "never polled")
    follower.assigned()
    with pytest.raises(Lost):
        follower.consumer.commit(Partition(place.other, 0), 1, "another's")
    assert journal.committed(place.group, place.first) is None


def test_a_consumer_is_told_what_it_owns_and_gets_the_records_from_its_commit_on(
    place: Place, journal: Journal
) -> None:
    append(journal, place.topic, b"a", b"b")
    first = place.follow(journal)
    [told] = first.assigned()
    assert (told.partition, told.committed, told.bounds) == (place.first, None, (0, 2))
    assert told.topic_id == journal.topic_id(place.topic)
    assert [record.value for record in first.records(place.first, 2)] == [b"a", b"b"]
    first.consumer.commit(place.first, 1, "")
    first.consumer.close()

    second = place.follow(journal)
    assert second.assigned()[0].committed == Commit(1, "")
    assert [record.offset for record in second.records(place.first)] == [1]
    assert second.quiet()


def test_a_paused_partition_delivers_nothing_and_goes_on_where_it_stood(place: Place, journal: Journal) -> None:
    follower = place.follow(journal, place.topic, place.other)
    follower.assigned(2)
    paused = frozenset({place.first})
    assert follower.quiet(paused=paused)
    append(journal, place.topic, b"a", b"b")
    append(journal, place.other, b"x")
    assert [record.value for record in follower.records(Partition(place.other, 0), 1, paused)] == [b"x"]
    assert follower.quiet(paused=paused)
    assert [record.offset for record in follower.records(place.first, 2)] == [0, 1]
    append(journal, place.topic, b"c")
    assert follower.quiet(paused=paused)
    assert [record.offset for record in follower.records(place.first)] == [2]


def test_everything_is_there_after_reopening_and_the_topic_keeps_its_id(place: Place) -> None:
    journal = place.open_journal()
    append(journal, place.topic, b"a", b"b")
    topic_id = journal.topic_id(place.topic)
    follower = place.follow(journal)
    follower.assigned()
    follower.consumer.commit(place.first, 1, "m")
    follower.consumer.close()
    journal.close()
    again = place.open()
    assert again.topic_id(place.topic) == topic_id != again.topic_id(place.other)
    assert again.committed(place.group, place.first) == Commit(1, "m")
    append(again, place.topic, b"c")
    assert [record.offset for record in again.read(place.first, 0, 10)] == [0, 1, 2]


def test_offsets_are_never_given_twice_not_even_after_everything_was_trimmed(place: Place) -> None:
    append(place.open(), place.topic, b"a", b"b")
    place.trim(2)
    journal = place.open()
    assert journal.bounds(place.first) == (2, 2)
    append(journal, place.topic, b"c")
    assert [record.offset for record in journal.read(place.first, 0, 10)] == [2]


def test_a_consumer_that_retention_has_overtaken_is_told_and_gets_what_is_left(place: Place, journal: Journal) -> None:
    append(journal, place.topic, b"a", b"b", b"c")
    follower = place.follow(journal)
    follower.assigned()
    follower.consumer.commit(place.first, 1, "m")
    follower.consumer.close()
    place.trim(2)
    late = place.follow(journal)
    [told] = late.assigned()
    assert (told.committed, told.bounds) == (Commit(1, "m"), (2, 3))
    assert [record.offset for record in late.records(place.first)] == [2]


def test_a_group_tells_who_is_in_it(place: Place, journal: Journal) -> None:
    """A data directory has one process, so there nobody else can be."""
    assert journal.members(place.group) == []
    consumer = journal.consumer(place.group, [place.topic])
    until = time.monotonic() + 15
    while not consumer.poll(0.1).assigned:
        assert time.monotonic() < until
    assert bool(journal.members(place.group)) is not isinstance(journal, SqliteJournal)
    consumer.close()
    assert journal.members(place.group) == []
