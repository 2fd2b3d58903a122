"""The collectors' disks are full while Kafka is away: reports are refused, routers keep theirs."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..fault import COLLECTORS, KAFKA, fault
from ..member import Full
from ..world import World, until


@contextmanager
def refusing(world: World) -> Iterator[None]:
    """Until every collector refuses what routers send."""
    before = sum(agent.refusals for agent in world.agents)
    world.hold_appends()
    try:
        yield
        until(lambda: sum(agent.refusals for agent in world.agents) >= before + 20, "reports to be refused")
    finally:
        world.release_appends()


@fault("disk full on the spill", COLLECTORS, KAFKA)
def disk_full(world: World, chance: random.Random) -> None:
    try:
        with refusing(world):
            for collector in world.collectors:
                os.truncate(collector.log, 0)  # it is on the same disk, and not much of it left
                collector.order(Full(chance.choice([1, 4_000, 16_000])))
    finally:
        for collector in world.collectors:
            collector.order(Full(None))
    time.sleep(chance.uniform(0, 0.5))


@fault("spill at its bound", COLLECTORS, KAFKA, share=1)
def spill_at_its_bound(world: World, chance: random.Random) -> None:
    client = world.agents[0].client
    fillers = [world.router(f"Filler{chance.randrange(2**32)}", client, 0.0, tallies=2_000) for _ in range(2)]
    with refusing(world):
        for filler in fillers:
            filler.start()
    for filler in fillers:
        filler.finish()
