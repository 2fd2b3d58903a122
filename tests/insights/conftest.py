"""A graph of its own for each test, away from what other tests put into the store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import World, database

from forebay.store.clickhouse import ClickHouse

numbers = itertools.count()


@pytest.fixture(scope="session")
def clean(store: ClickHouse) -> ClickHouse:
    """A database without dead letters."""
    return database(store, "insights")


@pytest.fixture
def world(clean: ClickHouse, tmp_path: Path) -> Iterator[World]:
    """A graph among others."""
    world = World(clean, tmp_path / "journal.sqlite", f"org{next(numbers)}")
    yield world
    world.close()


@pytest.fixture
def alone(store: ClickHouse, tmp_path: Path) -> Iterator[World]:
    """The only graph of its database, so that totals and dead letters are all its own."""
    number = next(numbers)
    world = World(database(store, f"alone{number}"), tmp_path / "journal.sqlite", f"org{number}")
    yield world
    world.close()
