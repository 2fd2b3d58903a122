"""Looks at a cluster's topics and makes them what `topics.plan` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicDescription,
)

from ..settings import KafkaSettings
from .kafka_connection import Admin, connection, mapped
from .topics import Observed, State, Topic

ANSWER_WITHIN = 20.0


def admin(settings: KafkaSettings) -> Admin:
    """A client to be closed by leaving its context.  Stop if the options do not fit."""
    try:
        return Admin(connection(settings))
    except KafkaException as exc:
        raise mapped(exc, "be configured so") from exc


def observe(cluster: Admin, wanted: Sequence[Topic]) -> State:
    """What is there of the planned topics.  RetryLater or Stop if the cluster does not tell."""
    names = [topic.name for topic in wanted]
    described = cluster.describe_topics(TopicCollection(names), request_timeout=ANSWER_WITHIN)
    found = {}
    for name in names:
        try:
            topic = described[name].result()
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise mapped(exc, f"describe the topic {name}", cluster.heard) from exc
        found[name] = Observed(
            str(topic.topic_id),
            len(topic.partitions),
            min(len(partition.replicas) for partition in topic.partitions),
            under_replicated(topic),
            config_of(cluster, ResourceType.TOPIC, name),
        )
    return State(found, _offsets_retention(cluster))


def apply(cluster: Admin, wanted: Sequence[Topic]) -> list[str]:
    """Create what is missing, alter what differs, add partitions, never remove any.  What was done; empty if nothing.

    Replicas of a topic that exists are left as they are: that takes a plan of who holds what.
    """
    there = observe(cluster, wanted).topics
    return [step for topic in wanted for step in _applied(cluster, topic, there.get(topic.name))]


def _applied(cluster: Admin, topic: Topic, observed: Observed | None) -> list[str]:
    if observed is None:
        new = NewTopic(topic.name, topic.partitions, topic.replicas, config=dict(topic.config))
        _done(cluster.create_topics([new], request_timeout=ANSWER_WITHIN), f"create {topic.name}")
        return [f"created {topic}"]
    steps = []
    changed = {key: value for key, value in topic.config.items() if observed.config.get(key) != value}
    if changed:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in changed.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
        _done(cluster.incremental_alter_configs([resource], request_timeout=ANSWER_WITHIN), f"alter {topic.name}")
        steps += [
            f"altered {topic.name}: {key}={value}, was {observed.config.get(key)}" for key, value in changed.items()
        ]
    if observed.partitions < topic.partitions:
        more = NewPartitions(topic.name, topic.partitions)
        _done(cluster.create_partitions([more], request_timeout=ANSWER_WITHIN), f"add partitions to {topic.name}")
        steps.append(f"altered {topic.name}: {topic.partitions} partitions, were {observed.partitions}")
    return steps


def _done(answers: Mapping[Any, Future[Any]], doing: str) -> None:
    [answer] = answers.values()
    try:
        answer.result()
    except KafkaException as exc:
        if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else applies the same plan
            raise mapped(exc, doing) from exc


def config_of(cluster: Admin, kind: ResourceType, name: str) -> dict[str, str]:
    """Every setting of a topic or broker, by Kafka's own name."""
    [answer] = cluster.describe_configs([ConfigResource(kind, name)], request_timeout=ANSWER_WITHIN).values()
    try:
        return {key: entry.value for key, entry in answer.result().items()}
    except KafkaException as exc:
        raise mapped(exc, f"tell the configuration of {name}") from exc


def under_replicated(topic: TopicDescription) -> tuple[int, ...]:
    """The partitions that miss a replica."""
    return tuple(partition.id for partition in topic.partitions if len(partition.isr) < len(partition.replicas))


def _offsets_retention(cluster: Admin) -> float | None:
    """In seconds, as any one broker says; None if it may not tell us."""
    try:
        nodes = cluster.describe_cluster(request_timeout=ANSWER_WITHIN).result().nodes
    except KafkaException as exc:
        raise mapped(exc, "describe itself", cluster.heard) from exc
    [answer] = cluster.describe_configs(
        [ConfigResource(ResourceType.BROKER, str(nodes[0].id))], request_timeout=ANSWER_WITHIN
    ).values()
    try:
        minutes = answer.result()["offsets.retention.minutes"].value
    except KafkaException as exc:
        if exc.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            return None
        raise mapped(exc, "tell the brokers' configuration") from exc
    return float(minutes) * 60
