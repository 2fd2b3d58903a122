"""Brokers that are killed, hang, or are away for longer than a producer waits."""

from __future__ import annotations

import random
import time

from ..fault import KAFKA, fault
from ..world import World


@fault("broker killed and restarted", KAFKA, share=1, brokers=(1,))
@fault("broker of three killed and restarted", KAFKA, brokers=(3,))
def broker_killed(world: World, chance: random.Random) -> None:
    node = chance.choice(world.kafka.nodes())
    world.kafka.kill(node)
    time.sleep(chance.uniform(0, 3))
    world.kafka.start(node)


@fault("broker of three hangs, its partitions get other leaders", KAFKA, share=4, brokers=(3,))
def broker_hangs(world: World, chance: random.Random) -> None:
    node = chance.choice(world.kafka.nodes())
    world.kafka.pause(node)
    time.sleep(chance.uniform(2.5, 5))
    world.kafka.resume(node)


@fault("Kafka hangs for longer than producers wait", KAFKA, share=3)
def kafka_hangs(world: World, chance: random.Random) -> None:
    world.kafka.pause(*world.kafka.nodes())
    time.sleep(chance.uniform(2.5, 5))
    world.kafka.resume(*world.kafka.nodes())


@fault("Kafka can't be reached by collectors", KAFKA, share=3)
def kafka_away(world: World, chance: random.Random) -> None:
    world.hold_appends()
    time.sleep(chance.uniform(1, 5))
    world.release_appends()
