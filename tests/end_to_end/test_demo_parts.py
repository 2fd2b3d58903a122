"""The demo's service and clients: what was asked is what was reported, exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from fake_collector import FakeCollector, fake_collector
from faults.pipeline import free_port
from graphql import build_schema

from forebay.core.record import ShapeColumns
from forebay.demo.clients import CLIENTS, Traffic
from forebay.demo.service import sdl


@contextmanager
def service(collector: FakeCollector) -> Iterator[str]:
    """The service's URL; at the end it is asked to stop, and must do so with everything reported."""
    port = free_port()
    command = [sys.executable, "-W", "error", "-m", "forebay.demo.service"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--collector", collector.url, "--interval", "0.3"],
        env={**os.environ, "FOREBAY_TOKEN": "token"},
    )
    try:
        url = f"http://127.0.0.1:{port}/graphql"
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(url, headers={"Accept": "text/html"})  # the page for people: no operation
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def uses(collector: FakeCollector) -> dict[tuple[str, str], set[str]]:
    """The coordinates that each client, by name and version, used."""
    shapes: dict[str, ShapeColumns] = collector.shapes
    found: dict[tuple[str, str], set[str]] = {}
    for push in collector.pushes.values():
        for key, _ in push.rows():
            found.setdefault((key[3], key[4]), set()).update(shapes[key[2]].coordinate)
    return found


def test_what_the_clients_asked_is_what_the_service_reported_exactly() -> None:
    with fake_collector() as collector:
        collector.faults.extend([503, "cut-after", (429, {"Retry-After": "0.2"}), "cut"])
        traffic = Traffic(rate=150, seed=1)
        with service(collector) as url:
            traffic.start(url)
            time.sleep(3)
            while traffic.ledger.total() <= 150:
                time.sleep(0.05)
            traffic.stop()
        assert traffic.unknown == 0
        assert collector.usage() == traffic.ledger
        assert not collector.lost()
        assert not collector.faults
        assert {line[:2] for line in traffic.ledger} == {(client.name, client.version) for client in CLIENTS}
        assert {schema.sdl for push in collector.pushes.values() for schema in push.schemas} == {sdl()}

        used = uses(collector)
        assert "User.email" in used["Android App", "1.3.4"]
        assert "User.email" not in used["web", "3.2.0"]
        assert "Product.oldPrice" in used["web", "3.1.4"]
        assert "Product.oldPrice" not in used["web", "3.2.0"]
        everything = Counter(coordinate for coordinates in used.values() for coordinate in coordinates)
        assert not {"Product.legacyCode", "User.phone", "Mutation.restock"} & everything.keys()


def test_the_published_schema_is_valid_and_holds_what_the_demo_shows() -> None:
    schema = build_schema(sdl())
    for name in ("Node", "SearchResult", "Category", "ProductFilter", "PriceRange"):
        assert name in schema.type_map
    assert "@deprecated" in sdl()
