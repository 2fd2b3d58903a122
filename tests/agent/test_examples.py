"""Each example runs as its first line says, answers, and reports what it was asked."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_collector import FakeCollector, fake_collector
from frameworks import GRAPHENE, TESTS, table
from kafka.local_kafka import free_ports

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHIN = 60.0
APART = importlib.util.find_spec("graphene") is None
"""Graphene is not in this environment, but in its own."""


def command_of(name: str) -> str:
    """How the example is started, on port 8000."""
    text = (EXAMPLES / f"{name.replace('-', '_')}_app.py").read_text()
    return str(re.findall(r": (\w.*8000[^\"\n]*)", text)[0]).strip()


class Example:
    """An example's process; it answers by `url`."""

    def __init__(self, name: str, collector: FakeCollector) -> None:
        port = str(free_ports(1)[0])
        program, *arguments = command_of(name).replace("8000", port).split()
        start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
        path = os.environ.get("PYTHONPATH", "")
        if name == "graphene" and APART:
            path = str(GRAPHENE)
        environment = {**os.environ, "PYTHONPATH": path, "FOREBAY_URL": collector.url, "FOREBAY_TOKEN": "token"}
        self.process = subprocess.Popen(
            [*start, *arguments], cwd=EXAMPLES, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.url = f"http://127.0.0.1:{port}/{'' if name in ('ariadne', 'strawberry') else 'graphql'}"

    def ask(self, document: str, **headers: str) -> Any:
        body = json.dumps({"query": document}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json", **headers})  # noqa: S310
        deadline = time.monotonic() + WITHIN
        while True:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                    return json.load(answer)
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.process.kill()
                    raise AssertionError(self.process.communicate()[1].decode()) from None
                time.sleep(0.05)

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[dict[str, tuple[Example, FakeCollector]]]:
    """All examples that are asked for at once, since each takes its time to start and to report."""
    asking = [item for item in request.session.items if "running" in getattr(item, "fixturenames", ())]
    chosen = [item.callspec.params["name"] for item in asking]  # type: ignore[attr-defined]
    with ExitStack() as stack:
        started = {}
        for name in chosen:
            collector = stack.enter_context(fake_collector())
            started[name] = Example(name, collector), collector
            stack.callback(started[name][0].end)
        for example, _ in started.values():
            assert example.ask("query Book { book }", **{"graphql-client-name": "web"}) == {"data": {"book": "Emma"}}
        yield started


def test_every_framework_has_an_example_and_a_page() -> None:
    pages = EXAMPLES.parent / "docs" / "agents"
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {f"{name.replace('-', '_')}_app" for name in TESTS}
    assert {path.stem for path in pages.glob("*.md")} == {*TESTS, "README", "reporter"}
    assert table() in (pages / "README.md").read_text()


@pytest.mark.parametrize("name", TESTS)
def test_the_page_runs_the_example_as_it_says_itself(name: str) -> None:
    command = command_of(name)
    assert command in (EXAMPLES.parent / "docs" / "agents" / f"{name}.md").read_text()


@pytest.mark.parametrize("name", TESTS)
def test_the_example_reports_what_it_is_asked(running: Any, name: str) -> None:
    _, collector = running[name]
    deadline = time.monotonic() + WITHIN
    while not collector.pushes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert collector.usage() == {("web", "", "Book", False): 1}
    [push] = collector.pushes.values()
    assert "Query.book" in push.shapes[0].coordinate
    assert push.schemas[0].sdl
