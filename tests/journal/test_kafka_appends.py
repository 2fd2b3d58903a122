"""Appends to a real Kafka that is killed, hangs, is full, or refuses."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from kafka.broker import Broker
from polling import Follower

from forebay.errors import RejectRecord, RetryLater
from forebay.journal import kafka_consumer
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Commit, Message, Partition

DELIVERY = 2.0

Open = Callable[..., KafkaJournal]


@pytest.fixture
def open_journal(broker: Broker) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda *topics, **changed: stack.enter_context(
            closing(KafkaJournal(broker.settings(**{"delivery": DELIVERY} | changed), topics))
        )


def values(journal: KafkaJournal, topic: str) -> list[bytes]:
    """All that a topic holds, partition by partition."""
    found: list[bytes] = []
    for partition in journal.partitions(topic):
        low, high = journal.bounds(partition)
        while low < high:
            records = journal.read(partition, low, high - low)
            found += [record.value for record in records]
            low = records[-1].offset + 1
    return found


def reach(counted: Callable[[], int], goal: int) -> None:
    until = time.monotonic() + 30
    while counted() < goal:
        assert time.monotonic() < until, counted()
        time.sleep(0.02)


def begun(journal: KafkaJournal, topic: str) -> KafkaJournal:
    """With the producer's identity fetched, which takes a broker that has just started a second or more."""
    until = time.monotonic() + 40
    while True:
        try:
            journal.append([Message(topic, "key", b"first")]).result(timeout=30)
        except RetryLater:
            assert time.monotonic() < until
        else:
            return journal


def test_what_was_acknowledged_before_a_broker_is_killed_is_there_once_and_in_order(
    broker: Broker, open_journal: Open
) -> None:
    topic = broker.topic(partitions=3)
    journal = open_journal(topic)
    acknowledged: list[list[int]] = [[], [], [], []]
    refused: list[RetryLater] = []
    stopping = threading.Event()

    def keep_appending(thread: int) -> None:
        for number in count():
            if stopping.is_set():
                return
            try:
                journal.append([Message(topic, f"key-{thread}", b"%d %d" % (thread, number))]).result(timeout=30)
                acknowledged[thread].append(number)
            except RetryLater as exc:
                refused.append(exc)

    follower = Follower(journal.consumer(topic, [topic]))
    follower.assigned(3)
    threads = [threading.Thread(target=keep_appending, args=(thread,)) for thread in range(4)]
    for running in threads:
        running.start()
    reach(lambda: sum(map(len, acknowledged)), 100)
    broker.cluster.kill(1)
    killed_at = sum(map(len, acknowledged))
    since = time.monotonic()
    with pytest.raises(RetryLater, match="did not take"):
        journal.append([Message(topic, "key", b"lost?")]).result(timeout=30)
    assert time.monotonic() - since < DELIVERY + 1.5
    follower.poll()  # a member waits for its broker and says nothing, unless it commits
    with pytest.raises(RetryLater, match="not said"):
        follower.consumer.commit(Partition(topic, 0), 0, "m")
    broker.cluster.start(1)
    reach(lambda: sum(map(len, acknowledged)), killed_at + 100)
    stopping.set()
    for running in threads:
        running.join()
    assert refused
    follower.until(lambda: sum(map(len, follower.seen.records.values())) >= len(values(journal, topic)))
    follower.consumer.close()
    held = [tuple(map(int, value.split())) for value in values(journal, topic) if value != b"lost?"]
    times = Counter(held)
    for thread in range(4):  # a record whose append failed may be there, even twice
        assert [times[thread, number] for number in acknowledged[thread]] == [1] * len(acknowledged[thread])
        mine = list(dict.fromkeys(number for owner, number in held if owner == thread))
        assert mine == sorted(mine)


def test_an_append_to_a_broker_that_hangs_fails_in_time_and_so_does_closing(broker: Broker) -> None:
    topic = broker.topic()
    journal = begun(KafkaJournal(broker.settings(delivery=1), [topic]), topic)
    broker.cluster.pause(1)
    try:
        since = time.monotonic()
        with pytest.raises(RetryLater):
            journal.append([Message(topic, "key", b"b")]).result(timeout=30)
        waiting = journal.append([Message(topic, "key", b"c")])
        journal.close()
        assert time.monotonic() - since < 5
    finally:
        broker.cluster.resume(1)
    with pytest.raises(RetryLater):
        waiting.result(timeout=0)
    with pytest.raises(RetryLater, match="closed"):
        journal.append([Message(topic, "key", b"d")]).result(timeout=0)


def test_a_full_queue_refuses_and_takes_again_when_it_has_emptied(broker: Broker, open_journal: Open) -> None:
    topic = broker.topic()
    journal = open_journal(topic, options=json.dumps({"queue.buffering.max.messages": 5, "linger.ms": 100}))
    with pytest.raises(RetryLater, match="too many"):
        journal.append([Message(topic, "key", b"%d" % number) for number in range(20)]).result(timeout=30)
    begun(journal, topic)
    assert values(journal, topic)[-1] == b"first"


def test_a_record_beyond_the_limit_is_rejected_for_good_and_one_below_it_is_taken(
    broker: Broker, open_journal: Open
) -> None:
    topic = broker.topic()
    journal = begun(open_journal(topic, message_mib=1), topic)
    with pytest.raises(RejectRecord) as rejected:
        journal.append([Message(topic, "key", b"x" * 2**20)]).result(timeout=30)
    assert rejected.value.reason == "too_large"
    largest = b"y" * (2**20 - 2**16 - 1_000)
    journal.append([Message(topic, "key", largest)]).result(timeout=30)
    assert values(journal, topic)[-1] == largest


def test_what_names_something_is_not_appended_before_what_it_names(broker: Broker, open_journal: Open) -> None:
    named, naming, gone = broker.topic("shapes"), broker.topic("tallies"), broker.name("gone")
    journal = begun(open_journal(named, naming, gone, delivery=1), named)
    for number in range(20):
        journal.append([Message(named, "k", b"%d" % number), Message(naming, "k", b"%d" % number)]).result(timeout=30)
    pairs = zip(journal.read(Partition(named, 0), 1, 20), journal.read(Partition(naming, 0), 0, 20), strict=True)
    assert all(first.appended <= second.appended for first, second in pairs)
    with pytest.raises(RetryLater):
        journal.append([Message(gone, "k", b"shape"), Message(naming, "k", b"tally")]).result(timeout=30)
    assert len(values(journal, naming)) == 20


def test_after_a_fatal_error_another_producer_goes_on(broker: Broker, open_journal: Open) -> None:
    topic = broker.topic()
    journal = begun(open_journal(topic), topic)
    assert journal._appends
    first = journal._appends._producer
    # No broker can be made to send one on purpose: the callback gets what librdkafka would hand it.
    journal._appends._on_error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost its place", fatal=True))
    until = time.monotonic() + 10
    while journal._appends._producer is first:
        assert time.monotonic() < until
        time.sleep(0.01)
    journal.append([Message(topic, "key", b"b")]).result(timeout=30)
    assert values(journal, topic)[-1] == b"b"


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_commit_waits_for_its_broker_to_come_back(
    broker: Broker, open_journal: Open, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "COORDINATOR_WITHIN", 60.0)  # a slow machine is no broker that stays away
    topic = broker.topic()
    journal = open_journal(topic, protocol=protocol)
    follower = Follower(journal.consumer(topic, [topic]))
    [told] = follower.assigned()
    broker.cluster.pause(1)
    resume = threading.Timer(1, lambda: broker.cluster.resume(1))
    resume.start()
    follower.consumer.commit(told.partition, 3, "m")
    resume.join()
    assert journal.committed(topic, told.partition) == Commit(3, "m")
    follower.consumer.close()


def test_what_a_recreated_topic_holds_is_read_though_its_leader_began_anew(broker: Broker, open_journal: Open) -> None:
    """Left alone, librdkafka takes the new topic's leader, whose epoch is lower, for old news, and waits for ever."""
    topic = broker.topic()
    journal = begun(open_journal(topic), topic)
    there = Partition(topic, 0)
    broker.cluster.kill(1)
    broker.cluster.start(1)
    broker.ready(topic, 1)
    assert journal.read(there, 0, 1)
    broker.delete(topic)
    broker.create(topic)
    begun(journal, topic)
    with suppress(RetryLater):
        journal.read(there, 0, 1)
    assert journal.read(there, 0, 1)


def test_a_recreated_topic_whose_leader_is_another_broker_is_found_by_another_producer(tmp_path: Path) -> None:
    """For librdkafka the new leader's epoch is lower, so it would ask the former one for ever."""
    broker = Broker(tmp_path, brokers=3)
    try:
        topic = broker.name("letters")
        broker.create(topic, on=[1, 2])
        with closing(KafkaJournal(broker.settings(delivery=DELIVERY), [topic])) as journal:
            begun(journal, topic)
            broker.cluster.pause(1)
            begun(journal, topic)  # led by the second one now
            broker.cluster.resume(1)
            broker.delete(topic)
            broker.create(topic, on=[1])
            begun(journal, topic)
    finally:
        broker.cluster.remove()
