"""The fault harness, shortly: every kind of fault once, and proof that it would notice a broken promise.

The long run is `make faults`; see `faults/README.md`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import kinds  # noqa: F401  which puts all faults on the list
from faults.fault import ALL, Fault
from faults.member import Mutation
from faults.mutations import acknowledge_early, count_repeats, forget_the_intent, take_a_random_token
from faults.run import Run, each, exact
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
def test_every_kind_of_fault_on_one_broker_loses_nothing_and_doubles_nothing(site: Site) -> None:
    compared(site, "classic", [fault for fault in ALL if 1 in fault.brokers])


@pytest.mark.timeout(600)
def test_faults_on_three_brokers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, brokers=3)
    try:
        compared(site, "consumer", [fault for fault in ALL if fault.name.startswith(OF_THREE)])
    finally:
        site.remove()


def compared(site: Site, protocol: str, faults: list[Fault]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    run = Run(World(site, "whole", protocol), seed, print)
    turns = run.go(each(faults, random.Random(seed)))
    assert exact(turns)
    assert {fault.name for turn in turns for fault in turn.faults} == {fault.name for fault in faults}


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
