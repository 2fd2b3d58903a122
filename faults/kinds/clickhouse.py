"""What a ClickHouse server does to those who insert."""

from __future__ import annotations

import random
import time

from front.faults import Kind

from ..fault import LOADERS, STORE, fault
from ..world import STORE_TIMEOUT, World

TOO_MANY_PARTS, OUT_OF_MEMORY, READ_ONLY = 252, 241, 242


@fault("ClickHouse cut before it executes", STORE, share=5)
def cut_before(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.CUT_BEFORE, 0, chance.randint(1, 2))


@fault("ClickHouse answers 5xx", STORE, share=5)
def answers_5xx(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.STATUS, chance.choice([500, 502, 503, 504]), chance.randint(1, 2))


@fault("ClickHouse has too many parts", STORE)
def too_many_parts(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.EXCEPTION, TOO_MANY_PARTS, 1)


@fault("ClickHouse has no memory", STORE, share=5)
def out_of_memory(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.EXCEPTION, OUT_OF_MEMORY, 1)


@fault("ClickHouse is read-only for a while", STORE)
def read_only(world: World, chance: random.Random) -> None:
    with world.front.faulty(Kind.EXCEPTION, READ_ONLY, times=None):
        time.sleep(chance.uniform(0.5, 2))


@fault("ClickHouse is slow", STORE, share=5)
def slow(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.SLOW, chance.uniform(0.3, 1.5), chance.randint(1, 3))


@fault("ClickHouse executes after the loader has given up", STORE)
def too_slow(world: World, chance: random.Random) -> None:
    world.fail_inserts(Kind.SLOW, STORE_TIMEOUT + chance.uniform(0.2, 1.5), 1)
    time.sleep(STORE_TIMEOUT)


@fault("ClickHouse killed between statements, and restarted", STORE, LOADERS)
def killed(world: World, chance: random.Random) -> None:
    world.front.fault(chance.choice([Kind.KILL_BEFORE, Kind.KILL_AFTER]))
    world.front.gone()
    time.sleep(chance.uniform(0, 1))
    world.front.start()
