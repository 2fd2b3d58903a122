"""A broker is lost: the journal says which partitions miss a replica, in `status` and in `topics check`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from kafka.broker import QUICK
from kafka.local_kafka import Cluster

from forebay.core.record import TOPICS
from forebay.errors import RetryLater, Stop
from forebay.insights.freshness import Freshness
from forebay.journal.kafka import KafkaJournal
from forebay.journal.kafka_topics import admin, apply, observe
from forebay.journal.topics import plan
from forebay.settings import KafkaSettings


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Cluster]:
    """Two brokers; the controller is apart, so that it survives either."""
    cluster = Cluster.create(tmp_path / "kafka", brokers=2, config=QUICK, controller_apart=True)
    cluster.start()
    yield cluster
    cluster.remove()


def test_partitions_that_miss_a_replica_are_named_until_it_is_back(two: Cluster) -> None:
    settings = KafkaSettings(brokers=two.bootstrap, replicas=2, in_sync=1, partitions=2)
    everything = ("forebay.schemas/0", "forebay.shapes/0", "forebay.tallies/0", "forebay.tallies/1")
    with admin(settings) as cluster, closing(KafkaJournal(settings, TOPICS)) as journal:
        apply(cluster, plan(settings))
        freshness = Freshness(journal, "loaders", time.time)

        def until(expected: tuple[str, ...]) -> None:
            deadline = time.monotonic() + 60
            found: tuple[str, ...] | None = None
            while found != expected:
                assert time.monotonic() < deadline, found
                time.sleep(0.1)
                with suppress(
                    RetryLater, Stop
                ):  # over a broken connection, or of a broker that has not heard of it yet
                    found = freshness.under_replicated()

        until(())
        two.kill(2)
        until(everything)
        checked = observe(cluster, plan(settings)).topics["forebay.tallies"]
        assert checked.under_replicated == (0, 1)
        two.start(2)
        until(())
