"""Acknowledgements that get lost on each link: the other side has done what was asked, and nobody is told."""

from __future__ import annotations

import random

from front.faults import Kind

from ..fault import COLLECTORS, KAFKA, LOADERS, STORE, fault
from ..link import Link
from ..world import World, until


def lose(links: list[Link], answers: int) -> None:
    """Wait until so many answers on each link are lost, one at least on any of them."""
    before = sum(link.lost for link in links)
    for link in links:
        link.lose(answers)
    until(lambda: sum(link.lost for link in links) >= before + answers, "answers to be lost")
    for link in links:
        link.lose(0)


@fault("acknowledgement lost: collector to router", COLLECTORS, share=12)
def collector_to_router(world: World, chance: random.Random) -> None:
    lose(world.reports, chance.randint(1, 20))


@fault("acknowledgement lost: Kafka to collector", KAFKA, share=12)
def kafka_to_collector(world: World, chance: random.Random) -> None:
    lose(world.appends, chance.randint(1, 3))


@fault("acknowledgement lost: Kafka to loader", LOADERS, share=12)
def kafka_to_loader(world: World, chance: random.Random) -> None:
    lose(world.commits, chance.randint(1, 3))


@fault("acknowledgement lost: ClickHouse to loader", STORE, share=12)
def clickhouse_to_loader(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.CUT_AFTER, 0, chance.randint(1, 2))
