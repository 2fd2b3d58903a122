"""The journal on Kafka: for a fleet, at the same promises as the embedded one.

Three clients, each for what it does best: a producer (`kafka_appends`), a consumer per member of
a group (`kafka_consumer`), and an admin client with a reader outside of any group for what
`status` and `verify` ask.  What the brokers really do, and what follows from it, is written down
in `docs/decisions/0011-kafka-at-the-same-promises.md`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import ResourceType, TopicDescription

from ..errors import RetryLater
from ..settings import KafkaSettings
from .kafka_appends import Appends
from .kafka_connection import Admin, arrived, connection, fetched, mapped, meaning
from .kafka_consumer import KafkaConsumer
from .kafka_topics import config_of, under_replicated
from .port import Bounds, Commit, Fetched, Message, Partition, Retention

MIB = 2**20
ANSWER_WITHIN = 5.0
"""Seconds that a question to the cluster may take."""
LOOK_WITHIN = 2.0
"""Seconds within which any broker that is there says which others are."""

T = TypeVar("T")


READER = {
    "group.id": "forebay-reader",
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    # It jumps about: it must neither wait for what it no longer wants, nor fetch far ahead.
    "fetch.wait.max.ms": 10,
    "fetch.queue.backoff.ms": 5,
    "queued.min.messages": 1,
}


class KafkaJournal:
    """Implements `Journal` and its promises on a cluster.  Usable from any thread; needs no broker to be made."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = frozenset(topics)
        self._connection = connection(settings)
        self._clients = ExitStack()
        try:
            self._admin = self._clients.enter_context(Admin(self._connection))
            self._reader = Consumer({**self._connection, **READER})
        except KafkaException as exc:
            raise mapped(exc, "be configured so") from exc
        self._making, self._reading, self._asking = threading.Lock(), threading.Lock(), threading.Lock()
        self._appends: Appends | None = None
        self._askers: dict[str, Consumer] = {}  # by group

    def append(self, messages: Sequence[Message]) -> Future[None]:
        if unknown := {message.topic for message in messages} - self._topics:
            raise ValueError(f"no such topic: {unknown}")
        with self._making:  # who only reads may have no right to append, and asking for one is a fatal error
            if self._appends is None:
                own = self._settings
                try:
                    self._appends = Appends(self._connection, own.delivery, own.message_mib * MIB)
                except KafkaException as exc:
                    raise mapped(exc, "be configured so") from exc
        return self._appends.append(messages)

    def consumer(self, group: str, topics: Sequence[str]) -> KafkaConsumer:
        return KafkaConsumer(self, self._connection, group, topics, self._settings.protocol, self._settings.session)

    def partitions(self, topic: str) -> list[Partition]:
        return sorted(Partition(topic, partition.id) for partition in self._describe(topic).partitions)

    def topic_id(self, topic: str) -> str:
        return str(self._describe(topic).topic_id)

    def bounds(self, partition: Partition) -> Bounds:
        # Not by the admin client: once it has met a partition without a leader it says so for half a minute.
        try:
            try:
                found = self._watermarks(partition)
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                    raise
                with self._reading:  # so does the reader, until it asks
                    self._reader.list_topics(partition.topic, timeout=ANSWER_WITHIN)
                found = self._watermarks(partition)
        except KafkaException as exc:
            raise mapped(exc, f"tell the bounds of {partition.topic}[{partition.number}]", self._admin.heard) from exc
        return Bounds(*found)

    def retention(self, topic: str) -> Retention:
        config = self._told(topic, lambda: config_of(self._admin, ResourceType.TOPIC, topic))
        milliseconds, size = int(config["retention.ms"]), int(config["retention.bytes"])
        return Retention(milliseconds / 1000 if milliseconds >= 0 else None, size if size >= 0 else None)

    def under_replicated(self, topic: str) -> list[Partition]:
        return [Partition(topic, number) for number in under_replicated(self._describe(topic))]

    def committed(self, group: str, partition: Partition) -> Commit | None:
        # Not by the admin client: the process dies if the group's coordinator has moved (librdkafka issue 5040).
        with self._asking:
            try:
                if group not in self._askers:  # it never joins the group
                    config = {**self._connection, "group.id": group, "enable.auto.commit": False}
                    self._askers[group] = Consumer(config)
                [found] = self._askers[group].committed([TopicPartition(*partition)], timeout=ANSWER_WITHIN)
                if found.error:
                    raise KafkaException(found.error)
            except KafkaException as exc:
                heard = self._askers[group].poll(0) if group in self._askers else None
                if heard and (error := heard.error()):  # the reason behind a time-out
                    raise meaning(error, f"tell what {group} has committed") from exc
                raise mapped(exc, f"tell what {group} has committed", self._admin.heard) from exc
        return Commit(found.offset, found.metadata or "") if found.offset >= 0 else None

    def members(self, group: str) -> list[str]:
        try:
            asked = self._admin.describe_consumer_groups([group], request_timeout=ANSWER_WITHIN)
            found = asked[group].result().members
        except KafkaException as exc:
            raise mapped(exc, f"tell who is in {group}", self._admin.heard) from exc
        return sorted(f"{member.client_id} at {member.host.lstrip('/')}" for member in found)

    def read(self, partition: Partition, first: int, limit: int, max_bytes: int = 2**24) -> list[Fetched]:
        """As the port says.  One read or question for bounds at a time: others wait."""
        low, high = self.bounds(partition)
        first, end = max(first, low), min(high, first + limit)
        if first >= end:
            return []
        with self._reading:
            try:
                self._reader.assign([TopicPartition(partition.topic, partition.number, first)])
                return self._read(partition, end, max_bytes)
            except KafkaException as exc:
                raise mapped(exc, f"read {partition.topic}[{partition.number}]") from exc
            finally:
                self._reader.unassign()

    def close(self) -> None:
        if self._appends:
            self._appends.close(within=self._settings.delivery)
        with self._reading, self._asking:
            for client in (self._reader, *self._askers.values()):
                client.close()
        self._clients.close()

    def _watermarks(self, partition: Partition) -> tuple[int, int]:
        with self._reading:  # who reads may replace the reader
            return self._reader.get_watermark_offsets(TopicPartition(*partition), timeout=ANSWER_WITHIN, cached=False)

    def _told(self, topic: str, question: Callable[[], T]) -> T:
        """The answer to a question that goes by way of the controller.

        The client asks the one that it knows, also when that is long dead, until it looks who is there now.
        """
        try:
            return question()
        except RetryLater as exc:
            try:
                self._admin.list_topics(topic, timeout=LOOK_WITHIN)
            except KafkaException:
                raise exc from None  # nobody is there
            return question()

    def _describe(self, topic: str) -> TopicDescription:
        return self._told(topic, lambda: self._described(topic))

    def _described(self, topic: str) -> TopicDescription:
        asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_WITHIN)
        try:
            description: TopicDescription = asked[topic].result()
        except KafkaException as exc:
            raise mapped(exc, f"describe the topic {topic}", self._admin.heard) from exc
        return description

    def _read(self, partition: Partition, end: int, max_bytes: int) -> list[Fetched]:
        records: list[Fetched] = []
        size = 0
        until = time.monotonic() + ANSWER_WITHIN
        while time.monotonic() < until:
            for message in arrived(self._reader, 1_000, 0.1):
                if error := message.error():
                    if error.code() == KafkaError._AUTO_OFFSET_RESET:
                        raise RetryLater(f"{partition.topic}[{partition.number}] is being trimmed", retry_after=0.1)
                    raise meaning(error, f"read {partition.topic}[{partition.number}]")
                record = fetched(message)
                size += len(record.value)
                if records and size > max_bytes:
                    return records
                records.append(record)
                if record.offset >= end - 1:
                    return records
        # The brokers have told the bounds, and the reader gets nothing: a topic that was recreated it knows by the
        # id of its former self, for ever if the leader's epoch was higher then.
        self._reader.close()
        self._reader = Consumer({**self._connection, **READER})
        raise RetryLater(f"Kafka did not deliver {partition.topic}[{partition.number}] in time")
