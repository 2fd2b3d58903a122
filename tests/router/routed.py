"""A router in this process, in a thread of its own, and what it reports to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import httpx
from fake_collector import FakeCollector, fake_collector
from faults.pipeline import free_port

from forebay.router.reports import Reports
from forebay.router.run import Router
from forebay.serving import Address
from forebay.settings import RouterSettings

SDL = """
type Query { hello(name: String): String fail: String later: String big: String }
type Mutation { upload(file: Upload!): Int }
type Subscription { ticks(to: Int): Int }
scalar Upload
"""


@dataclass
class Routed:
    port: int
    side: int
    collector: FakeCollector
    reports: Reports
    said: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def usage(self) -> dict[tuple[str, str, str, bool], int]:
        """Requests by (client, version, operation name, errors), once all are reported."""
        return dict(self._reported().usage())

    def uncovered(self) -> int:
        """Of these, how many cover nothing."""
        collector = self._reported()
        blind = {shape.id for shape in collector.shapes.values() if not shape.coverage}
        rows = [row for push in collector.pushes.values() for row in push.rows()]
        return sum(count[0] for key, count in rows if key[2] in blind)

    def rows(self) -> list[Any]:
        return [row for push in self._reported().pushes.values() for row in push.rows()]

    def metric(self, name: str) -> float:
        """Of a metric with its labels, or summed over them."""
        lines = httpx.get(f"http://127.0.0.1:{self.side}/metrics").text.splitlines()
        named = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return sum(float(value) for label, _, value in named if name in (label, label.partition("{")[0]))

    def settled(self) -> None:
        """Wait until everything that was answered is counted: that comes after the answer."""
        while self.metric("forebay_router_in_flight"):
            sleep(0.005)

    def _reported(self) -> FakeCollector:
        self.settled()
        while self.reports.status()["held"]:  # the schema comes by itself
            sleep(0.005)
        for reporter in self.reports._reporters():
            assert reporter.flush(10)
        return self.collector


@contextmanager
def routed(
    upstream: int, path: str = "/graphql", schema: str | None = SDL, folder: Path | None = None, **settings: Any
) -> Iterator[Routed]:
    """A router before 127.0.0.1:`upstream`; its schema is a file unless `schema` is None."""
    if schema is not None:
        assert folder is not None
        (folder / "schema.graphql").write_text(schema)
        settings["schema"] = str(folder / "schema.graphql")
    own = RouterSettings(upstream=f"http://127.0.0.1:{upstream}/graphql", **settings)
    with fake_collector() as collector:
        reports = Reports(collector.url, "token", interval=60)
        made = Routed(free_port(), free_port(), collector, reports)
        router = Router(own, reports, Address("127.0.0.1", made.port), Address("127.0.0.1", made.side))
        ready = Event()
        stop: list[Any] = []

        async def run() -> str:
            stopping = asyncio.Event()
            stop[:] = [asyncio.get_running_loop(), stopping]
            return await router.run(stopping, ready.set)

        def serve() -> None:
            try:
                made.said = asyncio.run(run())
            finally:
                ready.set()

        thread = Thread(target=serve)
        thread.start()
        try:
            assert ready.wait(20)
            yield made
        finally:
            stop[0].call_soon_threadsafe(stop[1].set)
            thread.join(40)
            assert made.said.startswith("stopped")
