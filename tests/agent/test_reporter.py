"""An integration of one's own, as docs/agents/reporter.md shows it: sync, async, in threads and in forked processes."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_collector import FakeCollector, fake_collector
from graphql import build_schema, graphql_sync

PAGE = Path(__file__).parents[2] / "docs" / "agents" / "reporter.md"
SCHEMA = build_schema("type Query { a: Int }")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        monkeypatch.setenv("FOREBAY_URL", collector.url)
        monkeypatch.setenv("FOREBAY_TOKEN", "token")
        yield collector


@pytest.fixture
def own(collector: FakeCollector) -> Iterator[Any]:
    """The names that the page's example defines."""
    names: dict[str, Any] = {"schema": SCHEMA, "graphql_sync": graphql_sync, "time": time}
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(code, names)  # noqa: S102  our own page
    yield SimpleNamespace(**names)
    names["reporter"].close(0.1)


def request(name: str = "A") -> SimpleNamespace:
    headers = {"graphql-client-name": "web"}
    return SimpleNamespace(query=f"query {name} {{ a }}", variables={}, operation_name=name, headers=headers)


def test_a_synchronous_server_reports_from_any_thread(own: Any, collector: FakeCollector) -> None:
    threads = [threading.Thread(target=lambda: [own.answer(request()) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert own.reporter.flush()
    assert collector.usage() == {("web", "", "A", False): 200}


def test_an_asynchronous_server_reports_and_flushes_in_a_thread(own: Any, collector: FakeCollector) -> None:
    async def serve() -> bool:
        async def one() -> None:
            own.answer(request())

        await asyncio.gather(*(one() for _ in range(20)))
        return bool(await asyncio.to_thread(own.reporter.flush))

    assert asyncio.run(serve())
    assert collector.usage() == {("web", "", "A", False): 20}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is what is tried here
def test_a_forked_child_reports_its_own_requests_and_none_of_its_parents(own: Any, collector: FakeCollector) -> None:
    own.answer(request("Parent"))
    child = os.fork()
    if child == 0:
        own.answer(request("Child"))
        os._exit(0 if own.reporter.flush() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert own.reporter.flush()
    assert collector.usage() == {("web", "", "Parent", False): 1, ("web", "", "Child", False): 1}
    assert len({agent for agent, _ in collector.pushes}) == 2
