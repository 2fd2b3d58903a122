"""One member of a Kafka consumer group, by the rules that make intents in commit metadata safe.

The broker checks that a commit comes from a member, not that the member owns the partition.  So
ownership is kept here, by callbacks that run only inside `poll`: a partition's place is forgotten
the moment it is revoked or lost, and only partitions with a place are committed, synchronously,
from the thread that polls.  Every commit that is refused means that ownership is in doubt.  A
doubtful partition is dropped; the broker assigns it anew (to us or another), or, if it never
took it away, we take it anew ourselves when a dead member would have been noticed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Arrived

from ..errors import ForebayError, RetryLater, Stop
from .kafka_connection import UNAVAILABLE, arrived, fetched, mapped, meaning
from .port import Assigned, Bounds, Commit, Journal, Lost, Partition, Polled

MOST_RECORDS = 10_000
METADATA_UNITS = 4_095
"""The broker takes 4,096 of Java's characters, and the client adds one."""
TOPICS_EVERY = 5.0
COMMITTED_WITHIN = 20.0
COORDINATOR_WITHIN = 5.0
LEADER_WITHIN = 10.0

DEFAULTS = {
    "fetch.queue.backoff.ms": 5,  # by default the fetcher sleeps a second whenever its queue is full
    "queued.max.messages.kbytes": 16 * 1024,  # what a pause throws away, and what one poll may return
}
PROMISES = {"enable.auto.commit": False, "auto.offset.reset": "error"}


class KafkaConsumer:
    """Implements `Consumer`.  `protocol`: consumer (KIP-848), classic, or auto: the former where the broker has it.

    `session`: seconds of silence after which a member is taken for dead; under KIP-848 the broker decides.
    """

    def __init__(
        self,
        journal: Journal,
        connection: dict[str, Any],
        group: str,
        topics: Sequence[str],
        protocol: str,
        session: float,
    ) -> None:
        self._journal = journal
        self._config = {**DEFAULTS, **connection, **PROMISES, "group.id": group}
        self._topics = list(topics)
        self._may_fall_back = protocol == "auto"
        self._session = session
        self._news = Polled()
        self._place: dict[Partition, int] = {}  # of each partition that is ours: the next offset to be delivered
        self._paused: set[Partition] = set()
        self._doubtful: dict[Partition, float] = {}  # when to take it anew
        self._topic_ids: dict[str, str] = {}
        self._topics_due = 0.0
        self._failure: ForebayError | None = None
        self._join("classic" if protocol == "classic" else "consumer")

    def poll(self, timeout: float, paused: frozenset[Partition] = frozenset()) -> Polled:
        """As the port says.  Stop ends this consumer: it has left the group."""
        if self._failure:
            raise self._failure
        try:
            self._serve(timeout, paused)
        except Stop as stop:
            self._failure = self._failure or stop
        if self._failure:
            self._leave()
            raise self._failure
        news, self._news = self._news, Polled()
        return news

    def commit(self, partition: Partition, offset: int, metadata: str) -> None:
        """As the port says.  ValueError for metadata beyond the broker's limit."""
        if len(metadata.encode("utf-16-le")) // 2 > METADATA_UNITS:
            raise ValueError(f"a commit's metadata may have {METADATA_UNITS} characters, not {len(metadata)}")
        if self._failure:
            raise self._failure
        where = f"{partition.topic}[{partition.number}]"
        if partition not in self._place:
            raise Lost(f"{where} is not ours")
        place = TopicPartition(partition.topic, partition.number, offset, metadata)
        try:
            # A commit waits without end for a coordinator that is away, and can't be taken back: a question can.
            self._client.committed([TopicPartition(*partition)], timeout=COORDINATOR_WITHIN)
            [answer] = self._client.commit(offsets=[place], asynchronous=False)
            error = answer.error
        except KafkaException as exc:
            error = exc.args[0]
        if error is None:
            return
        if error.code() in UNAVAILABLE:
            raise RetryLater(f"Kafka has not said whether {where} is committed: {error.str()}")
        self._doubt(partition, time.monotonic() + self._session)
        raise Lost(f"Kafka refused a commit of {where}: {error.str()}")

    def close(self) -> None:
        self._failure = self._failure or Stop("the consumer is closed")
        self._leave()

    def _join(self, protocol: str) -> None:
        milliseconds = int(self._session * 1000)
        alive = {"session.timeout.ms": milliseconds, "heartbeat.interval.ms": min(milliseconds // 3, 3_000)}
        session = alive if protocol == "classic" else {}
        self._protocol = protocol
        try:
            self._client = Consumer({**self._config, **session, "group.protocol": protocol})
            self._client.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_drop, on_lost=self._on_drop
            )
        except KafkaException as exc:
            raise mapped(exc, "let a consumer in") from exc

    def _serve(self, timeout: float, paused: frozenset[Partition]) -> None:
        """What it finds stands in `_news`, and stays there if it does not get to its end."""
        try:
            self._pause(paused)
            for message in arrived(self._client, MOST_RECORDS, timeout):
                self._take(message)
            self._take_anew()
            self._watch_topics()
        except KafkaException as exc:
            raise mapped(exc, "deliver records") from exc

    def _leave(self) -> None:
        self._client.close()
        self._place.clear()
        self._doubtful.clear()

    def _take(self, message: Arrived[bytes, bytes]) -> None:
        topic, number = message.topic(), message.partition()
        partition = Partition(topic or "", -1 if number is None else number)
        if error := message.error():
            self._bear(error, partition)
            return
        record = fetched(message)
        place = self._place.get(partition)
        if place is None or record.offset < place:
            return  # fetched before the partition was dropped, or taken anew
        if record.offset > place:
            gap = f"{partition.topic}[{partition.number}] lacks offsets {place} to {record.offset - 1}"
            raise Stop(f"{gap}: the topic must be neither compacted nor written by transactions")
        self._news.records.setdefault(partition, []).append(record)
        self._place[partition] = record.offset + 1

    def _bear(self, error: KafkaError, partition: Partition) -> None:
        """What librdkafka reports between the records."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            if partition in self._place:  # retention has overtaken us, or the log is shorter than we know it
                self._doubt(partition, time.monotonic())
        elif self._may_fall_back and error.code() == KafkaError._FATAL and "not supported" in error.str():
            self._may_fall_back = False
            self._client.close()
            self._join("classic")
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED or error.code() in UNAVAILABLE or error.retriable():
            pass  # librdkafka goes on by itself; what it loses meanwhile, the callbacks tell
        else:
            raise Stop(str(meaning(error, f"deliver {partition.topic or 'records'}")))

    def _pause(self, paused: frozenset[Partition]) -> None:
        ours = paused & self._place.keys()
        if more := ours - self._paused:
            self._client.pause([TopicPartition(*partition) for partition in more])
        if less := (self._paused - ours) & self._place.keys():
            self._client.resume([TopicPartition(*partition) for partition in less])
        self._paused = set(ours)

    def _on_assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        if self._failure:
            return  # we are leaving
        self._may_fall_back = False
        try:
            places = self._places([Partition(where.topic, where.partition) for where in partitions])
            if self._protocol == "consumer":
                client.incremental_assign(places)
            else:
                client.assign(places)
            client.resume(places)  # a pause outlives that a partition is taken away, and given back to the same member
        except (ForebayError, KafkaException) as exc:
            # The client goes on with the assignment whatever is raised here, from places of its own.
            self._failure = Stop(f"partitions could not be taken over: {exc}")

    def _on_drop(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for where in partitions:
            partition = Partition(where.topic, where.partition)
            self._forget(partition)
            self._doubtful.pop(partition, None)

    def _places(self, partitions: list[Partition]) -> list[TopicPartition]:
        """Make these partitions ours: where to begin with each.  All of them, or an error and none."""
        asked = [TopicPartition(*partition) for partition in partitions]
        taken: list[tuple[Assigned, int]] = []
        for found in self._client.committed(asked, timeout=COMMITTED_WITHIN) if asked else []:
            if found.error:
                raise KafkaException(found.error)
            partition = Partition(found.topic, found.partition)
            topic_id = self._same_topic(partition.topic)
            low, high = bounds = self._bounds(partition)
            committed = Commit(found.offset, found.metadata or "") if found.offset >= 0 else None
            place = min(max(committed.offset, low), high) if committed else low
            taken.append((Assigned(partition, topic_id, committed, bounds), place))
        for assigned, place in taken:
            self._place[assigned.partition] = place
            self._paused.discard(assigned.partition)
            self._news.assigned.append(assigned)
        return [TopicPartition(*assigned.partition, place) for assigned, place in taken]

    def _bounds(self, partition: Partition) -> Bounds:
        """Waits for a leader to be elected: a callback can't be left with the question open."""
        until = time.monotonic() + LEADER_WITHIN
        while True:
            try:
                return self._journal.bounds(partition)
            except RetryLater as exc:
                if time.monotonic() > until:
                    raise
                time.sleep(min(exc.retry_after, 0.2))

    def _doubt(self, partition: Partition, until: float) -> None:
        self._forget(partition)
        self._doubtful[partition] = until

    def _forget(self, partition: Partition) -> None:
        if self._place.pop(partition, None) is None:
            return
        self._news.dropped.append(partition)
        self._news.records.pop(partition, None)
        self._news.assigned = [assigned for assigned in self._news.assigned if assigned.partition != partition]

    def _take_anew(self) -> None:
        """Doubtful partitions that nobody took from us, from where the group's commit says."""
        due = [partition for partition, until in self._doubtful.items() if until <= time.monotonic()]
        if not due:
            return
        others = [TopicPartition(*partition, place) for partition, place in self._place.items()]
        places = self._places(due)
        for partition in due:
            del self._doubtful[partition]
        if self._protocol == "consumer":
            self._client.incremental_unassign(places)
            self._client.incremental_assign(places)
            self._client.resume(places)
        else:
            self._client.assign([*others, *places])
            self._client.resume([*others, *places])
            self._paused.clear()

    def _watch_topics(self) -> None:
        """What the protocols keep to themselves.

        The classic one goes on at its old place in a topic that was deleted and created again;
        KIP-848 waits without a word for a topic that does not exist.
        """
        if time.monotonic() < self._topics_due:
            return
        try:
            for topic in self._topics:
                self._same_topic(topic)
        except RetryLater:
            pass  # the brokers are away: asked again soon
        self._topics_due = time.monotonic() + TOPICS_EVERY

    def _same_topic(self, topic: str) -> str:
        topic_id = self._journal.topic_id(topic)
        known = self._topic_ids.setdefault(topic, topic_id)
        if topic_id != known:
            raise Stop(f"the topic {topic} was deleted and created again (was {known}, is {topic_id})")
        return topic_id
