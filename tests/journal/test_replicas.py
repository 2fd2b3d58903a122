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
    """Whichever broker it is: one of them is the one that the client goes to for its questions."""
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
                # Over a connection that has just broken, or of a broker that has not heard of the topic yet.
                with suppress(RetryLater, Stop):
                    found = freshness.under_replicated()

        for node in two.nodes()[:2]:
            until(())
            two.kill(node)
            until(everything)
            with admin(settings) as newcomer:
                observed = observe(newcomer, plan(settings)).topics["forebay.tallies"]
            assert observed.under_replicated == (0, 1)
            two.start(node)
        until(())
