"""What happens to the topics themselves: a record that nobody can read, a log that is shortened or begun anew."""

from __future__ import annotations

import random
import time
from collections import Counter

from forebay.core.record import TALLIES, Report, decode
from forebay.journal.port import Fetched, Message, Partition
from forebay.store.port import Origin
from forebay.wiring.fleet import PIPELINE
from forebay.wiring.loading import GROUP

from ..fault import EVERYTHING, Loss, fault
from ..world import World, until


@fault("poison record", share=3)
def poison(world: World, chance: random.Random) -> None:
    raw = chance.choice([b"\xff\xfe", b"{", b'{"record":"tallies","v":1}', chance.randbytes(40)])
    world.journal.append([Message(TALLIES, str(chance.random()), raw)]).result()
    world.poison += 1


def _unloaded(world: World, partition: Partition) -> int:
    """The first offset that is not in the store."""
    committed = world.journal.committed(GROUP, partition)
    origin = Origin(PIPELINE, partition.topic, world.journal.topic_id(partition.topic), partition.number)
    return max(committed.offset if committed else 0, world.store.loaded(origin))


def _requests(records: list[Fetched]) -> Loss:
    """By the router that sent them."""
    lost: Loss = Counter()
    for record in records:
        report = decode(record.value)
        assert isinstance(report, Report)
        lost[report.agent] += sum(report.requests)
    return lost


@fault("retention overtakes a stopped loader", *EVERYTHING, share=1)
def retention(world: World, chance: random.Random) -> Loss:
    for loader in world.loaders:
        loader.kill()
    time.sleep(chance.uniform(1, 2))
    lost: Loss = Counter()
    for partition in world.journal.partitions(TALLIES):
        first, end = _unloaded(world, partition), world.journal.bounds(partition).high
        below = chance.randint(first, end)
        gone = [record for record in world.journal.read(partition, first, below - first) if record.offset < below]
        assert len(gone) == below - first
        if below > first:
            world.broker.trim(TALLIES, below, partition.number)
        lost += _requests(gone)
        world.lost_records += len(gone)
    for loader in world.loaders:
        loader.start()
    until(lambda: world.status()["lost_records"] == world.lost_records, "the loss to be shown")
    return lost


@fault("topic recreated, all of it was loaded", *EVERYTHING, share=1)
def recreated(world: World, chance: random.Random) -> None:
    world.hold_appends()
    time.sleep(chance.uniform(0.2, 1))
    world.loaded()
    world.recreate()
    world.release_appends()
