"""The console on the only graph of its store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from browse import Browse
from world import World, database

from forebay.access import SigningKeys
from forebay.store.clickhouse import ClickHouse

numbers = itertools.count()


@pytest.fixture
def world(store: ClickHouse, tmp_path: Path) -> Iterator[World]:
    number = next(numbers)
    world = World(database(store, f"console{number}"), tmp_path / "journal.sqlite", f"org{number}")
    yield world
    world.close()


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys.load(tmp_path / "keys.json")


@pytest.fixture
def browse(world: World) -> Browse:
    return Browse(world.insights)
