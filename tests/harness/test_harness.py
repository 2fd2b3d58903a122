"""The fault harness, shortly: every kind of fault once, and proof that it would notice a broken promise.

The long run is `make faults`; see `faults/README.md`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from faults import kinds  # noqa: F401  which puts all faults on the list
from faults.fault import ALL, Fault
from faults.member import Mutation
from faults.mutations import acknowledge_early, count_repeats, forget_the_intent, take_a_random_token
from faults.run import Run, Turn, each, exact
from faults.world import Site, World

ATTEMPTS = 5
OF_THREE = (
    *("acknowledgement lost", "broker of three", "Kafka hangs", "loader joins", "poison", "topic recreated, all"),
    *("loader killed at loader.inserted", "loader frozen at loader.inserted"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("one"), brokers=1)
    yield site
    site.remove()


@pytest.mark.timeout(600)
def test_faults_on_one_broker_and_on_three_lose_nothing_and_double_nothing(site: Site, tmp_path: Path) -> None:
    """Every kind on one, and on three those that replicas change; side by side, as in the long run."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    three = Site(tmp_path, brokers=3)
    try:
        worlds = [World(site, "whole", "classic"), World(three, "whole", "consumer")]
        chosen = [
            [fault for fault in ALL if 1 in fault.brokers],
            [fault for fault in ALL if fault.name.startswith(OF_THREE)],
        ]
        with ThreadPoolExecutor(2) as pool:
            for turns, faults in zip(pool.map(partial(compared, seed), worlds, chosen), chosen, strict=True):
                assert exact(turns)
                assert {fault.name for turn in turns for fault in turn.faults} == {fault.name for fault in faults}
    finally:
        three.remove()


def compared(seed: int, world: World, faults: list[Fault]) -> list[Turn]:
    return Run(world, seed, print).go(each(faults, random.Random(seed)))


@pytest.mark.parametrize(
    ("command", "mutation", "fault"),
    [
        ("collect", acknowledge_early, "collector killed at spill.written"),
        ("load", take_a_random_token, "loader killed at loader.inserted"),
        ("load", count_repeats, "acknowledgement lost: collector to router"),
        ("load", forget_the_intent, "loader killed at loader.inserted"),
    ],
)
def test_a_promise_that_is_broken_on_purpose_is_noticed(
    site: Site, command: str, mutation: Mutation, fault: str
) -> None:
    [aimed] = [each for each in ALL if each.name == fault]
    run = Run(World(site, mutation.__name__, mutations={command: mutation}), 1, print, patience=15)
    turns = run.go([(aimed,)] * ATTEMPTS)
    assert not exact(turns), f"{len(turns)} faults, and nothing was noticed"
