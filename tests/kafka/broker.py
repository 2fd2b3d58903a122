"""One real broker for all tests of a run: topics with names of their own, and settings to reach it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from forebay.settings import KafkaSettings

from .local_kafka import Cluster

QUICK = {
    # A dead member, and a dead broker, are noticed within seconds.
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "3000",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
}
SESSION = 3.0


class Broker:
    """A cluster, of one node by default.  `bootstrap` is its address; for `links` see `Cluster.create`."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, str] | None = None,
        brokers: int = 1,
        links: dict[str, list[tuple[int, int]]] | None = None,
    ) -> None:
        self.cluster = Cluster.create(folder, brokers, config=QUICK | (config or {}), links=links)
        self.cluster.start()
        self.bootstrap = self.cluster.bootstrap
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        self._reader = Consumer({"bootstrap.servers": self.bootstrap, "log_level": 2, "group.id": "tests"})
        self._names = itertools.count(1)

    def settings(self, **changed: Any) -> KafkaSettings:
        fields: dict[str, Any] = {"brokers": self.bootstrap, "session": SESSION, "replicas": 1, "in_sync": 1}
        return KafkaSettings(**fields | changed)

    def name(self, word: str) -> str:
        """A name that no other test has."""
        return f"{word}-{next(self._names)}"

    def topic(self, word: str = "letters", partitions: int = 1) -> str:
        """A new topic, ready to be used."""
        name = self.name(word)
        self.create(name, partitions)
        return name

    def create(self, name: str, partitions: int = 1, on: list[int] | None = None) -> None:
        """With one replica each, or on these brokers, the first of which leads."""
        config = {"message.timestamp.type": "LogAppendTime"}
        where = {"replica_assignment": [on] * partitions} if on else {"replication_factor": 1}
        topic = NewTopic(name, partitions, config=config, **where)
        _at_last(lambda: self.admin.create_topics([topic])[name].result(), ABSENT, within=15)
        self.ready(name, partitions)

    def ready(self, name: str, partitions: int) -> None:
        until = time.monotonic() + 15
        while not self._serves(name, partitions):
            assert time.monotonic() < until
            time.sleep(0.05)

    def _serves(self, name: str, partitions: int) -> bool:
        """A new topic is not known to every part of the broker at once."""
        self._reader.list_topics(name, 5)  # the client remembers for long that it did not know a topic, unless asked
        try:
            for number in range(partitions):
                self._reader.get_watermark_offsets(TopicPartition(name, number), 5, cached=False)
        except KafkaException:
            return False
        return True

    def delete(self, name: str) -> None:
        _at_last(lambda: self.admin.delete_topics([name])[name].result())

    def trim(self, topic: str, below: int, partition: int = 0) -> None:
        """What retention does, at once."""
        place = TopicPartition(topic, partition, below)

        def delete() -> None:
            # A client of its own each time: one that knew a topic of this name may take its leader for old news.
            admin = AdminClient({"bootstrap.servers": self.bootstrap})  # which has to outlive its answer
            admin.delete_records([place])[place].result()

        _at_last(delete)


MOVING = frozenset(
    (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
    )
)
"""What a cluster answers while a leader is being elected."""


ABSENT = frozenset((KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.INVALID_REPLICA_ASSIGNMENT))
"""A broker that has just come back is not counted in at once."""


def _at_last(work: Callable[[], object], passing: frozenset[int] = MOVING, within: float = 30) -> None:
    until = time.monotonic() + within
    while True:
        try:
            work()
            return
        except KafkaException as exc:
            if exc.args[0].code() not in passing or time.monotonic() > until:
                raise
            time.sleep(0.2)
