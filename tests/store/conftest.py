"""The stores that the contract is tested on: the engine in this process, and one over HTTP in another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from front.control import Front

from forebay.store.clickhouse import ClickHouse


@pytest.fixture(scope="session")
def served(front: Front) -> Iterator[ClickHouse]:
    store = ClickHouse(front.dsn())
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="session", params=["embedded", "served"])
def store(request: pytest.FixtureRequest) -> ClickHouse:
    """One after the other."""
    store: ClickHouse = request.getfixturevalue(request.param)
    return store
