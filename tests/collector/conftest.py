"""One collector for all of this stage's tests; each test has a graph of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from collector.server import Server, start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("collector"))
    yield server
    server.process.terminate()
    server.process.join(timeout=30)


@pytest.fixture
def graph(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:150]
