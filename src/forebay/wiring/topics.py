"""The topics in Kafka, as lists of lines to print."""

from __future__ import annotations

from contextlib import closing

from .. import settings
from ..collector.admission import MIB
from ..core.intent import topic_id_in
from ..core.record import TOPICS
from ..journal.port import Journal, Partition
from ..journal.topics import Finding, Needs, Topic
from ..journal.topics import check as judge
from ..journal.topics import plan as planned
from .fleet import journal
from .loading import GROUP


def plan() -> list[Topic]:
    return planned(settings.read(settings.KafkaSettings))


def apply() -> list[str]:
    """What was done."""
    with closing(journal()):  # says what is missing before anything is tried
        from ..journal.kafka_topics import admin
        from ..journal.kafka_topics import apply as made

        with admin(settings.read(settings.KafkaSettings)) as cluster:
            return made(cluster, plan())


def check() -> list[Finding]:
    own = settings.read(settings.KafkaSettings)
    largest = settings.read(settings.CollectorSettings).plain_mib * MIB
    with closing(journal()) as kafka:
        from ..journal.kafka_topics import admin, observe

        with admin(own) as cluster:
            state = observe(cluster, plan())
        there = [name for name in TOPICS if name in state.topics]
        return judge(plan(), state, Needs(own.outage, own.loaders, largest, _loaded(kafka, there)))


def _loaded(kafka: Journal, names: list[str]) -> dict[Partition, str]:
    """The topic ids of which the loaders' commits speak."""
    found = {}
    for partition in (partition for name in names for partition in kafka.partitions(name)):
        if committed := kafka.committed(GROUP, partition):
            found[partition] = topic_id_in(committed.metadata)
    return found
