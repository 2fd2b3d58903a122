"""What happens to the topics themselves: a record that nobody can read, a log that is shortened or begun anew."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from forebay.core.record import TALLIES, Report, decode
from forebay.errors import RetryLater
from forebay.journal.port import Message, Partition
from forebay.store.port import Origin
from forebay.wiring.fleet import PIPELINE
from forebay.wiring.loading import GROUP

from ..fault import EVERYTHING, KAFKA, TOPIC, Gone, fault
from ..world import World, answered, until


@fault("poison record", TOPIC, KAFKA, share=6)
def poison(world: World, chance: random.Random) -> None:
    raw = chance.choice([b"\xff\xfe", b"{", b'{"record":"tallies","v":1}', chance.randbytes(40)])
    world.journal.append([Message(TALLIES, str(chance.random()), raw)]).result()
    world.poison += 1
    until(lambda: world.letters() == world.poison, "the poison to be put aside")


@fault("retention overtakes a stopped loader", *EVERYTHING, share=1)
def retention(world: World, chance: random.Random) -> Gone:
    gone: Gone = {}
    with stopped_loaders(world):
        time.sleep(chance.uniform(1, 2))
        for partition in answered(lambda: world.journal.partitions(TALLIES)):
            first, end = unloaded(world, partition)
            below = chance.randint(first, end)
            gone |= reports(world, partition, first, below)
            if below > first:
                world.broker.trim(TALLIES, below, partition.number)
            world.lost_records += below - first
    until(lambda: world.status()["lost_records"] == world.lost_records, "the loss to be shown")
    return gone


@fault("topic recreated, all of it was loaded", *EVERYTHING, share=1)
def recreated(world: World, chance: random.Random) -> None:
    world.hold_appends()
    time.sleep(chance.uniform(0.2, 1))
    world.loaded()
    world.recreate()
    world.release_appends()


@fault("topic recreated, and some of it was not loaded", *EVERYTHING, share=1)
def recreated_unread(world: World, chance: random.Random) -> Gone:
    gone: Gone = {}
    with stopped_loaders(world):
        time.sleep(chance.uniform(0.5, 2))
        world.hold_appends()
        time.sleep(0.5)
        for partition in answered(lambda: world.journal.partitions(TALLIES)):
            gone |= reports(world, partition, *unloaded(world, partition))
        world.recreate()
    world.release_appends()
    return gone


@contextmanager
def stopped_loaders(world: World) -> Iterator[None]:
    """None loads, as after a crash."""
    for loader in world.loaders:
        loader.kill()
    yield
    for loader in world.loaders:
        loader.start()


def unloaded(world: World, partition: Partition) -> tuple[int, int]:
    """Offsets from the first that is not in the store up to the end."""
    committed = answered(lambda: world.journal.committed(GROUP, partition))
    topic_id = answered(lambda: world.journal.topic_id(partition.topic))
    origin = Origin(PIPELINE, partition.topic, topic_id, partition.number)
    first = max(committed.offset if committed else 0, world.store.loaded(origin))
    return first, answered(lambda: world.journal.bounds(partition)).high


def reports(world: World, partition: Partition, first: int, end: int) -> Gone:
    """Those in a range of the log."""
    found: Gone = {}
    while first < end:
        try:
            records = world.journal.read(partition, first, end - first)
        except RetryLater:  # the topic was recreated before: the reader that knew the former one has been replaced
            continue
        for record in records:
            report = decode(record.value)
            assert isinstance(report, Report)
            found[report.agent, report.sequence] = sum(report.requests)
            first = record.offset + 1
    return found
