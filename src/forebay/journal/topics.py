"""The topics of the journal on Kafka: what they should be, and what is wrong with what they are.  Pure.

    wanted = plan(settings)
    with admin(settings) as cluster:                 # kafka_topics.py speaks to the brokers
        done = apply(cluster, wanted)
        findings = check(wanted, observe(cluster, wanted), needs)

Each result is a list to be printed as it is: a topic, a step and a finding are one line each.

**Adding partitions** moves agents to other partitions.  A report that is repeated across such a
change is not recognised as a repeat, and what one agent sends is no longer in one order.  Add
them when nothing is spilled and no loader lags, and rather begin with enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..core.record import TALLIES, TOPICS
from ..settings import KafkaSettings
from .port import Partition

MIB, GIB = 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic should be.  `config` holds Kafka's own names and values."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]

    def __str__(self) -> str:
        config = " ".join(f"{key}={value}" for key, value in self.config.items())
        return f"{self.name}: {self.partitions} partitions × {self.replicas} replicas, {config}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a topic is.  `replicas`: of the partition that has the fewest."""

    topic_id: str
    partitions: int
    replicas: int
    under_replicated: tuple[int, ...]
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """What a cluster says.  `offsets_retention`: seconds that a group without members keeps its commits."""

    topics: Mapping[str, Observed]
    offsets_retention: float | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What the pipeline asks of the topics.

    `outage`: seconds without loading that must be survived; `loaders`: members of the group;
    `report_bytes`: the largest report that collectors take; `committed`: the topic ids in the
    group's commits, by partition.
    """

    outage: float
    loaders: int
    report_bytes: int
    committed: Mapping[Partition, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """`danger`: records or their place can be lost; otherwise something merely is not as planned."""

    danger: bool
    topic: str
    message: str

    def __str__(self) -> str:
        return f"{'danger' if self.danger else 'differs'}: {self.topic}: {self.message}"


def plan(settings: KafkaSettings) -> list[Topic]:
    """What is named has one partition each: it is rare, and each partition costs the store an insert of its own."""
    config = {
        "min.insync.replicas": str(settings.in_sync),
        "unclean.leader.election.enable": "false",  # acknowledged records would go, and offsets come twice
        "retention.ms": str(int(settings.retention * 1000)),
        "retention.bytes": str(int(settings.retention_gib * GIB) or -1),
        "cleanup.policy": "delete",  # compaction would leave gaps
        "compression.type": "producer",  # as collectors send it: the brokers do no work twice
        "max.message.bytes": str(settings.message_mib * MIB),
        # The broker's clock, not that of some collector, says how long a record is kept and how late it is.
        "message.timestamp.type": "LogAppendTime",
    }
    return [Topic(name, settings.partitions if name == TALLIES else 1, settings.replicas, config) for name in TOPICS]


def check(wanted: Sequence[Topic], state: State, needs: Needs) -> list[Finding]:
    """Dangers first, then differences; empty when all is well."""
    findings = [*_of_brokers(state)]
    for topic in wanted:
        if (observed := state.topics.get(topic.name)) is None:
            findings.append(Finding(True, topic.name, "does not exist"))
            continue
        findings += [Finding(True, topic.name, message) for message in _dangers(topic.name, observed, needs)]
        findings += [Finding(False, topic.name, message) for message in _differences(topic, observed)]
    return sorted(findings, key=lambda finding: not finding.danger)


def _of_brokers(state: State) -> Iterator[Finding]:
    kept = max((_retention(observed) for observed in state.topics.values()), default=0.0)
    place = state.offsets_retention
    if place is not None and place < kept:
        yield Finding(
            True,
            "brokers",
            f"offsets.retention.minutes keeps the place of a group without members for {_span(place)}, which is shorter"
            f" than the topics keep records ({_span(kept)}): a loader that is away longer has lost its place",
        )


def _dangers(name: str, observed: Observed, needs: Needs) -> Iterator[str]:
    config = observed.config
    if (kept := _retention(observed)) < needs.outage:
        yield f"retention.ms keeps records for {_span(kept)}, an outage of {_span(needs.outage)} is to be survived"
    if int(config.get("retention.bytes", -1)) >= 0:
        yield f"retention.bytes={config['retention.bytes']} may take records before their time, loaded or not"
    if observed.replicas < 2:
        yield "replication 1: a lost disk loses acknowledged records"
    if int(config.get("min.insync.replicas", 1)) < 2:
        yield "min.insync.replicas=1: an acknowledged record may be on one disk only"
    elif int(config["min.insync.replicas"]) > observed.replicas:
        least = f"min.insync.replicas={config['min.insync.replicas']}"
        yield f"{least} with {observed.replicas} replicas: nothing can be appended"
    if config.get("unclean.leader.election.enable") == "true":
        yield "unclean leader election: acknowledged records may vanish, and their offsets come again"
    if config.get("cleanup.policy", "delete") != "delete":
        yield f"cleanup.policy={config['cleanup.policy']}: compaction leaves gaps, at which loaders stop"
    if observed.under_replicated:
        numbers = ", ".join(map(str, observed.under_replicated))
        yield f"partitions {numbers} miss a replica: a broker is down or behind"
    for partition, topic_id in sorted(needs.committed.items()):
        if partition.topic == name and topic_id != observed.topic_id:
            yield (
                f"the topic was deleted and created again (partition {partition.number} was loaded from {topic_id}, "
                f"the topic is {observed.topic_id}): reset the consumer group"
            )
    if (largest := int(config.get("max.message.bytes", MIB))) < needs.report_bytes:
        yield (
            f"max.message.bytes={largest} is less than collectors take in a report ({needs.report_bytes}): "
            "larger ones are refused"
        )
    if name == TALLIES and observed.partitions < needs.loaders:
        idle = needs.loaders - observed.partitions
        yield f"{observed.partitions} partitions for {needs.loaders} loaders: {idle} stay idle"


def _differences(topic: Topic, observed: Observed) -> Iterator[str]:
    if observed.partitions != topic.partitions:
        yield f"{observed.partitions} partitions, planned are {topic.partitions}"
    if observed.replicas != topic.replicas:
        yield f"{observed.replicas} replicas, planned are {topic.replicas}: reassign partitions with Kafka's own tool"
    for key, value in topic.config.items():
        if (actual := observed.config.get(key)) != value:
            yield f"{key}={actual}, planned is {value}"


def _retention(observed: Observed) -> float:
    milliseconds = int(observed.config.get("retention.ms", -1))
    return milliseconds / 1000 if milliseconds >= 0 else float("inf")


def _span(seconds: float) -> str:
    if seconds == float("inf"):
        return "ever"
    return f"{seconds / 86_400:.3g} days" if seconds >= 86_400 else f"{seconds / 3_600:.3g} hours"
