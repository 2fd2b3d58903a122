"""Topics as planned, and every way in which they can be a danger; applied to a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.admin import NewTopic
from kafka.broker import Broker

from forebay.core.record import TALLIES, TOPICS
from forebay.errors import Stop
from forebay.journal.kafka_connection import Admin
from forebay.journal.kafka_topics import admin, apply, observe
from forebay.journal.port import Partition
from forebay.journal.topics import Needs, Observed, State, Topic, check, plan
from forebay.settings import CollectorSettings, KafkaSettings

DAY = 86_400
SETTINGS = KafkaSettings()
REPORT = CollectorSettings().plain_mib * 2**20
NEEDS = Needs(outage=3 * DAY, loaders=4, report_bytes=REPORT, committed={Partition(TALLIES, 0): "id-of-tallies"})


def as_planned() -> State:
    """A healthy cluster on which the default plan was applied."""
    topics = {
        topic.name: Observed(
            "id-of-tallies" if topic.name == TALLIES else f"id of {topic.name}",
            topic.partitions,
            topic.replicas,
            (),
            topic.config,
        )
        for topic in plan(SETTINGS)
    }
    return State(topics, offsets_retention=7 * DAY)


def with_tallies(**changed: Any) -> State:
    state = as_planned()
    config = {**state.topics[TALLIES].config, **changed.pop("config", {})}
    return replace(state, topics={**state.topics, TALLIES: replace(state.topics[TALLIES], config=config, **changed)})


def messages(state: State, needs: Needs = NEEDS, danger: bool = True) -> list[str]:
    found = check(plan(SETTINGS), state, needs)
    return [finding.message for finding in found if finding.danger == danger]


def test_a_cluster_that_is_as_planned_by_default_has_no_findings() -> None:
    assert check(plan(SETTINGS), as_planned(), NEEDS) == []


def test_the_plan_is_one_line_for_each_topic_in_the_order_in_which_they_are_read() -> None:
    lines = [str(topic) for topic in plan(SETTINGS)]
    assert [line.split(":")[0] for line in lines] == list(TOPICS)
    assert "1 partitions × 3 replicas" in lines[0]
    assert "8 partitions" in lines[-1]
    assert "retention.bytes=-1 " in lines[-1]
    assert "retention.bytes=1610612736 " in str(plan(KafkaSettings(retention_gib=1.5))[0])


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (with_tallies(config={"retention.ms": str(DAY * 1000)}), "keeps records for 1 days, an outage of 3 days"),
        (with_tallies(config={"retention.bytes": "1000"}), "may take records before their time"),
        (with_tallies(config={"min.insync.replicas": "1"}), "on one disk only"),
        (with_tallies(config={"min.insync.replicas": "4"}), "nothing can be appended"),
        (with_tallies(config={"unclean.leader.election.enable": "true"}), "unclean"),
        (with_tallies(config={"cleanup.policy": "compact"}), "compaction"),
        (with_tallies(config={"max.message.bytes": "1048588"}), "larger ones are refused"),
        (with_tallies(replicas=1), "replication 1"),
        (with_tallies(under_replicated=(2, 5)), "partitions 2, 5 miss a replica"),
        (with_tallies(partitions=3), "3 partitions for 4 loaders: 1 stay idle"),
        (with_tallies(topic_id="another"), "deleted and created again"),
        (replace(as_planned(), offsets_retention=DAY), "offsets.retention.minutes"),
        (with_tallies(config={"retention.ms": "-1"}), "offsets.retention.minutes"),
        (replace(as_planned(), topics={}), "does not exist"),
    ],
)
def test_each_danger_is_found(state: State, words: str) -> None:
    assert any(words in message for message in messages(state)), messages(state)


def test_what_merely_differs_is_no_danger_and_comes_after_the_dangers() -> None:
    state = with_tallies(partitions=12, config={"compression.type": "zstd"})
    assert messages(state) == []
    assert messages(state, danger=False) == [
        "12 partitions, planned are 8",
        "compression.type=zstd, planned is producer",
    ]
    both = check(plan(SETTINGS), with_tallies(replicas=1), NEEDS)
    assert [finding.danger for finding in both] == sorted((finding.danger for finding in both), reverse=True)
    assert str(both[0]).startswith(f"danger: {TALLIES}: replication 1")


def test_brokers_that_do_not_tell_how_long_they_keep_commits_are_not_accused() -> None:
    assert check(plan(SETTINGS), replace(as_planned(), offsets_retention=None), NEEDS) == []


@pytest.fixture
def cluster(broker: Broker) -> Iterator[Admin]:
    with admin(broker.settings()) as cluster:
        yield cluster


@pytest.fixture
def planned(broker: Broker) -> Callable[..., list[Topic]]:
    """Plans under names of their own, so that other tests have the real ones."""
    prefix = broker.name("planned")
    return lambda **changed: [
        replace(topic, name=f"{prefix}.{topic.name}") for topic in plan(broker.settings(**changed))
    ]


def test_applying_creates_what_is_missing_and_the_second_time_does_nothing(
    cluster: Admin, planned: Callable[..., list[Topic]]
) -> None:
    wanted = planned()
    assert [step.split()[0] for step in apply(cluster, wanted)] == ["created"] * 3
    state = until_as(wanted, cluster)
    assert apply(cluster, wanted) == []
    assert state.offsets_retention == 7 * DAY
    assert {topic.under_replicated for topic in state.topics.values()} == {()}


def test_applying_a_changed_plan_alters_configuration_and_adds_partitions_but_removes_none(
    cluster: Admin, planned: Callable[..., list[Topic]]
) -> None:
    apply(cluster, planned())
    until_as(planned(), cluster)
    wanted = planned(partitions=10, retention=2 * DAY)
    done = apply(cluster, wanted)
    assert len(done) == 4
    assert "retention.ms=172800000, was 604800000" in done[0]
    assert done[-1].endswith("10 partitions, were 8")
    until_as(wanted, cluster)
    fewer = planned(partitions=2, retention=2 * DAY)
    assert apply(cluster, fewer) == []
    assert differences(fewer, observe(cluster, fewer)) == ["10 partitions, planned are 2"]


def test_a_topic_that_somebody_made_by_hand_becomes_as_planned(
    cluster: Admin, planned: Callable[..., list[Topic]], broker: Broker
) -> None:
    wanted = planned()[:1]
    new = NewTopic(wanted[0].name, 1, 1, config={"cleanup.policy": "compact", "min.insync.replicas": "1"})
    cluster.create_topics([new])[wanted[0].name].result()
    broker.ready(wanted[0].name, 1)
    assert any("compaction" in str(finding) for finding in check(wanted, observe(cluster, wanted), NEEDS))
    assert any("cleanup.policy=delete, was compact" in step for step in apply(cluster, wanted))
    until_as(wanted, cluster)


def differences(wanted: list[Topic], state: State) -> list[str]:
    return [finding.message for finding in check(wanted, state, NEEDS) if not finding.danger]


def until_as(wanted: list[Topic], cluster: Admin) -> State:
    """What a broker is told, it knows a moment later."""
    until = time.monotonic() + 10
    while True:
        state = observe(cluster, wanted)
        if len(state.topics) == len(wanted) and not differences(wanted, state):
            return state
        assert time.monotonic() < until, check(wanted, state, NEEDS)
        time.sleep(0.05)


def test_options_that_are_no_json_or_unknown_to_kafka_are_one_clear_line() -> None:
    for options in ("security.protocol=SSL", "[]", '{"no.such.option": "1"}'):
        with pytest.raises(Stop, match=r"JSON object|No such configuration property"):
            admin(KafkaSettings(options=options))
