"""Fixtures that every stage's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from front.control import Front
from kafka.broker import Broker

from forebay.store.clickhouse import ClickHouse

LONGEST = ("harness", "kills", "end_to_end", "loader", "journal")
"""Folders with the longest files.  They come first, lest one of two workers be left alone with a long one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {folder: place for place, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The real engine in this process: one for all tests, because chDB opens one path at a time.

    Tests keep apart by their organisation or pipeline.
    """
    store = ClickHouse(f"chdb:{tmp_path_factory.mktemp('store')}")
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="session")
def store(embedded: ClickHouse) -> ClickHouse:
    return embedded


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """ClickHouse over HTTP, with faults.  Tests keep apart by their databases."""
    front = Front(tmp_path_factory.mktemp("front"))
    front.start()
    yield front
    front.kill()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Kafka, started with the first test that wants it.  Tests keep apart by the names of their topics."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.cluster.remove()
