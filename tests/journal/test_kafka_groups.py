"""What a member of a Kafka group does when it is fenced, overtaken, or finds something else than it left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka.broker import SESSION, Broker
from polling import Follower

from forebay.errors import Stop
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Bounds, Commit, Lost, Message, Partition

TESTS = Path(__file__).parent.parent
Open = Callable[..., KafkaJournal]
Follow = Callable[[KafkaJournal, str], Follower]


@pytest.fixture(params=["consumer", "classic"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def open_journal(broker: Broker, protocol: str, stack: ExitStack) -> Open:
    def opened(*topics: str, kind: type[KafkaJournal] = KafkaJournal, **changed: object) -> KafkaJournal:
        settings = broker.settings(**{"protocol": protocol, **changed})
        return stack.enter_context(closing(kind(settings, topics)))

    return opened


@pytest.fixture
def follow(stack: ExitStack) -> Follow:
    return lambda journal, topic: Follower(stack.enter_context(closing(journal.consumer(topic, [topic]))))


# Each test's group has the name of its topic.


def append(journal: KafkaJournal, topic: str, count: int, key: str = "key") -> None:
    journal.append([Message(topic, key, b"%d" % number) for number in range(count)]).result(timeout=30)


class Process:
    """`kafka/member.py` at work."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "kafka.member", *arguments]
        self._process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.signal = self._process.send_signal

    def ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        print(line, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def ask_until(self, line: str, answer: str) -> None:
        until = time.monotonic() + 20
        while (said := self.ask(line)) != answer:
            assert time.monotonic() < until, said

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_member_that_slept_past_its_session_cannot_overwrite_its_successor(
    broker: Broker, protocol: str, open_journal: Open, follow: Follow, stack: ExitStack
) -> None:
    topic = broker.topic()
    sleeper = stack.enter_context(closing(Process(broker.bootstrap, protocol, str(SESSION), topic)))
    sleeper.ask_until("poll", "dropped 0 assigned 1")
    assert sleeper.ask("commit 1 mine") == "done"
    sleeper.signal(signal.SIGSTOP)
    journal = open_journal(topic)
    successor = follow(journal, topic)
    assert successor.assigned()[0].committed == Commit(1, "mine")
    successor.consumer.commit(Partition(topic, 0), 2, "yours")
    sleeper.signal(signal.SIGCONT)
    assert sleeper.ask("commit 3 mine-again") == "Lost"
    assert sleeper.ask("commit 3 mine-again") == "Lost"
    assert journal.committed(topic, Partition(topic, 0)) == Commit(2, "yours")


@pytest.mark.parametrize("protocol", ["classic"], indirect=True)  # KIP-848 takes its session's length longer to notice
def test_a_member_that_was_busy_for_too_long_is_told_so_by_its_commit_and_then_by_its_poll(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic()
    options = json.dumps({"max.poll.interval.ms": int(SESSION * 1000), "session.timeout.ms": int(SESSION * 1000)})
    busy = follow(open_journal(topic, options=options), topic)
    busy.assigned()
    successor = follow(open_journal(topic), topic)
    successor.assigned()
    with pytest.raises(Lost):
        busy.consumer.commit(Partition(topic, 0), 3, "mine")
    assert busy.dropped() == [Partition(topic, 0)]
    assert successor.quiet()


def test_partitions_move_between_members_and_only_the_owner_commits(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic(partitions=4)
    journal = open_journal(topic)
    everything = {Partition(topic, number) for number in range(4)}
    one = follow(journal, topic)
    assert {told.partition for told in one.assigned(4)} == everything
    for partition in everything:
        one.consumer.commit(partition, 0, "first")
    two = follow(journal, topic)
    until = time.monotonic() + 20
    owned: list[set[Partition]] = [everything, set()]
    while not all(owned):
        assert time.monotonic() < until
        for number, member in enumerate((one, two)):
            news = member.poll()
            owned[number] = (owned[number] - set(news.dropped)) | {told.partition for told in news.assigned}
    assert (owned[0] | owned[1], owned[0] & owned[1]) == (everything, set())
    for partition in owned[1]:
        with pytest.raises(Lost):
            one.consumer.commit(partition, 0, "no longer")
        two.consumer.commit(partition, 0, "second")
    assert {journal.committed(topic, partition) for partition in owned[0]} == {Commit(0, "first")}
    assert {journal.committed(topic, partition) for partition in owned[1]} == {Commit(0, "second")}
    two.consumer.close()
    one.until(lambda: {told.partition for told in one.seen.assigned} >= owned[1])


def test_metadata_comes_back_exactly_up_to_the_brokers_limit(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic()
    journal = open_journal(topic)
    member = follow(journal, topic)
    member.assigned()
    for metadata in ("é" * 4_095, "x", "", "v1 id 3-9 0 c0ffee"):
        member.consumer.commit(Partition(topic, 0), 7, metadata)
        assert journal.committed(topic, Partition(topic, 0)) == Commit(7, metadata)
    for metadata in ("x" * 4_096, "😀" * 2_048):
        with pytest.raises(ValueError, match="4095"):
            member.consumer.commit(Partition(topic, 0), 7, metadata)


def test_a_commit_that_has_vanished_reads_as_none_and_the_log_from_its_beginning(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic()
    journal = open_journal(topic)
    append(journal, topic, 3)
    member = follow(journal, topic)
    member.assigned()
    member.consumer.commit(Partition(topic, 0), 2, "m")
    member.consumer.close()
    broker.admin.delete_consumer_groups([topic])[topic].result()
    again = follow(journal, topic)
    [told] = again.assigned()
    assert (told.committed, told.bounds) == (None, (0, 3))
    assert [record.offset for record in again.records(told.partition, 3)] == [0, 1, 2]


def test_retention_that_overtakes_a_running_member_assigns_the_partition_anew(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic(partitions=2)
    here, there = Partition(topic, 0), Partition(topic, 1)
    journal = open_journal(topic)
    keys: dict[Partition, str] = {}
    while len(keys) < 2:  # a key for each partition
        before = journal.bounds(here).high
        append(journal, topic, 1, key := f"key-{time.monotonic()}")
        keys.setdefault(here if journal.bounds(here).high > before else there, key)
    member = follow(journal, topic)
    member.assigned(2)
    low = {partition: journal.bounds(partition).high for partition in (here, there)}
    member.records(here, low[here])
    member.records(there, low[there])
    member.consumer.commit(here, low[here], "m")
    paused = frozenset({here})
    assert member.quiet(0.2, paused)
    append(journal, topic, 5, keys[here])
    append(journal, topic, 1, keys[there])
    broker.trim(topic, low[here] + 3)
    member.until(lambda: member.seen.dropped)
    assert member.dropped() == [here]
    [told] = member.assigned()
    assert (told.committed, told.bounds) == (Commit(low[here], "m"), (low[here] + 3, low[here] + 5))
    assert [record.offset for record in member.records(here, 2)] == [low[here] + 3, low[here] + 4]
    assert [record.offset for record in member.records(there)] == [low[there]]
    member.consumer.commit(here, low[here] + 5, "gone on")


def test_a_topic_that_was_deleted_and_created_again_stops_a_running_member(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic()
    journal = open_journal(topic)
    append(journal, topic, 3)
    member = follow(journal, topic)
    member.assigned()
    member.records(Partition(topic, 0), 3)
    member.consumer.commit(Partition(topic, 0), 3, "m")
    broker.delete(topic)
    broker.create(topic)
    append(journal, topic, 5)
    with pytest.raises(Stop, match=r"deleted and created again|no such topic"):
        member.until(lambda: False)


def test_a_commit_refused_without_a_rebalance_gives_the_partition_anew_after_a_session(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    topic = broker.topic(partitions=2)
    journal = open_journal(topic)
    member = follow(journal, topic)
    partition = member.assigned(2)[0].partition
    append(journal, topic, 50)
    append(journal, topic, 50, "another key")
    with pytest.raises(Lost, match="refused"):
        member.consumer.commit(partition, -5, "no such place")
    with pytest.raises(Lost, match="not ours"):
        member.consumer.commit(partition, 0, "not before it is ours again")
    assert member.dropped() == [partition]
    assert [told.partition for told in member.assigned()] == [partition]
    member.consumer.commit(partition, 0, "ours")
    high = journal.bounds(partition).high
    offsets = [record.offset for record in member.records(partition, high)] if high else []
    assert offsets[-high:] == list(range(high))


def test_a_partition_that_cannot_be_taken_over_stops_the_member_and_goes_to_another(
    broker: Broker, open_journal: Open, follow: Follow
) -> None:
    class Unsure(KafkaJournal):
        def bounds(self, partition: Partition) -> Bounds:
            raise Stop("nobody knows")

    topic = broker.topic()
    member = follow(open_journal(topic, kind=Unsure), topic)
    with pytest.raises(Stop, match="taken over: nobody knows"):
        member.assigned()
    with pytest.raises(Stop):
        member.poll()
    with pytest.raises(Stop):
        member.consumer.commit(Partition(topic, 0), 0, "m")
    another = follow(open_journal(topic), topic)
    another.assigned()


def test_offsets_that_hold_no_record_stop_the_member(broker: Broker, open_journal: Open, follow: Follow) -> None:
    topic = broker.topic()
    member = follow(open_journal(topic), topic)
    member.assigned()
    foreign = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": topic})
    foreign.init_transactions(20)
    for _ in range(2):
        foreign.begin_transaction()
        foreign.produce(topic, b"x")
        foreign.commit_transaction(20)
    with pytest.raises(Stop, match="lacks offsets 1 to 1"):
        member.records(Partition(topic, 0), 2)


def test_a_topic_that_does_not_exist_stops_the_member(broker: Broker, open_journal: Open, follow: Follow) -> None:
    missing = broker.name("missing")
    with pytest.raises(Stop, match="create the topics"):
        follow(open_journal(missing), missing).assigned()
    with pytest.raises(Stop, match="create the topics"):
        open_journal(missing).topic_id(missing)


@pytest.mark.parametrize("protocol", ["auto"], indirect=True)
def test_the_new_protocol_is_used_where_the_brokers_have_it(broker: Broker, open_journal: Open, follow: Follow) -> None:
    topic = broker.topic()
    member = follow(open_journal(topic), topic)
    member.assigned()
    assert broker.admin.describe_consumer_groups([topic])[topic].result().type.name == "CONSUMER"


def test_where_the_brokers_lack_the_new_protocol_the_classic_one_is_used(
    tmp_path: Path, stack: ExitStack, follow: Follow
) -> None:
    old = Broker(tmp_path / "kafka", {"group.coordinator.rebalance.protocols": "classic"})
    stack.callback(old.cluster.remove)
    topic = old.topic()
    journal = stack.enter_context(closing(KafkaJournal(old.settings(), [topic])))
    append(journal, topic, 1)
    member = follow(journal, topic)
    member.assigned()
    member.records(Partition(topic, 0))
    member.consumer.commit(Partition(topic, 0), 1, "m")
    assert old.admin.describe_consumer_groups([topic])[topic].result().type.name == "CLASSIC"
