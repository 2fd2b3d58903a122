"""What the agent takes of a real server: Strawberry and Ariadne, on granian.

    python -m bench.overhead strawberry|ariadne PORT

The same app three times in one process: under /with the integration as its page says, under /without none,
and under /idle an extension that does nothing, which is the framework's part of it.

`overhead/F_S`: eight connections keep the server busy with 128 requests to one of the three, then to another: each
once in random order, then again in the reverse one, so that what drifts meets them alike; many times.  CPU of the whole
process for a request, until what it left to the background is done; with against without, median of the rounds, and
where it lies in 95 % of samples of them.  The thread that sends reports does so at any time: its CPU is left out there,
and added as its share of the time.  `…_idle`: likewise for the extension that does nothing.  `large` is a query with a
variable whose answer has 73 fields, `small` one whose answer has one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import strawberry
from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL as AriadneApp
from ariadne.asgi.handlers import GraphQLHTTPHandler
from ariadne.types import Extension
from fake_collector import fake_collector
from faults.pipeline import free_port
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.responses import PlainTextResponse
from strawberry.asgi import GraphQL as StrawberryApp
from strawberry.extensions import SchemaExtension

from forebay.agent.integrations import ariadne as for_ariadne
from forebay.agent.integrations import strawberry as for_strawberry

from .client import drive, request
from .processes import cpu
from .result import Result, at_most
from .router import process

REQUESTS, CONNECTIONS, SECONDS, SAMPLES = 128, 8, 40, 2000
SETTLED = 0.01
"""Seconds after the last answer, in which the background counts what it left."""
LIMIT = 2
PATHS = ("/with", "/without", "/idle")
LARGE = """
query Catalogue($first: Int!) {
  products(first: $first) {
    id name title price stock rating
    maker { id name city country }
    reviews { stars text created }
  }
}"""
ASKED: dict[str, dict[str, Any]] = {
    "large": {"query": LARGE, "operationName": "Catalogue", "variables": {"first": 4}},
    "small": {"query": "query Name { name }", "operationName": "Name"},
}
SCHEMA = """
type Query { name: String! products(first: Int!): [Product!]! }
type Product {
  id: ID! name: String! title: String! price: Float! stock: Int! rating: Float! maker: Maker! reviews: [Review!]!
}
type Maker { id: ID! name: String! city: String! country: String! }
type Review { stars: Int! text: String! created: String! }
"""


@strawberry.type
class Maker:
    id: strawberry.ID
    name: str
    city: str
    country: str


@strawberry.type
class Review:
    stars: int
    text: str
    created: str


@strawberry.type
class Product:
    id: strawberry.ID
    name: str
    title: str
    price: float
    stock: int
    rating: float
    maker: Maker
    reviews: list[Review]


REVIEWS = [Review(stars=5, text="as described", created="2026-01-02") for _ in range(2)]
MAKER = Maker(id=strawberry.ID("7"), name="maker", city="Ulm", country="DE")
PRODUCTS = [
    Product(
        id=strawberry.ID(str(number)),
        name="tea",
        title="Green tea",
        price=9.5,
        stock=12,
        rating=4.5,
        maker=MAKER,
        reviews=REVIEWS,
    )
    for number in range(50)
]


@strawberry.type
class Query:
    @strawberry.field
    def name(self) -> str:
        return "shop"

    @strawberry.field
    def products(self, first: int) -> list[Product]:
        return PRODUCTS[:first]


def run() -> Iterator[Result]:
    for framework in ("strawberry", "ariadne"):
        for size, asked in ASKED.items():
            with fake_collector() as collector:
                with _server(framework, collector.url) as (pid, port):
                    rounds, sending = _rounds(pid, port, asked)
                assert collector.requests(), "the agent has reported nothing"
            name = f"overhead/{framework}_{size}"
            each = statistics.median(without for _, without, _ in rounds)
            value, interval = _median([with_ / without for with_, without, _ in rounds], sending)
            against = f"{interval}; {each * 1e6:,.0f} µs without; {len(rounds)} rounds; {sending:.2f} % are to send"
            yield at_most(LIMIT, name, value, "% more CPU of the process", against)
            value, interval = _median([idle / without for _, without, idle in rounds])
            yield Result(f"{name}_idle", value, "% more CPU of the process", interval)


def _median(ratios: list[float], more: float = 0.0) -> tuple[float, str]:
    """In percent, and where it lies in 95 % of samples."""
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(SAMPLES))
    low, value, high = (
        (each - 1) * 100 + more for each in (medians[SAMPLES // 40], statistics.median(ratios), medians[-SAMPLES // 40])
    )
    return value, f"95 %: {low:.1f} to {high:.1f}"


def _rounds(pid: int, port: int, asked: dict[str, Any]) -> tuple[list[list[float]], float]:
    """CPU seconds of a request to each path, in each round; and percent of the time that sending takes."""
    chance = random.Random(1)
    made = {path: [_request(path, asked)] for path in PATHS}
    for requests in made.values():
        drive(port, requests, CONNECTIONS, 1.0)
    sender = Path(f"/proc/{pid}/task/{_sender(port)}/schedstat")
    sent_before, begun = _ran(sender), time.monotonic()
    rounds = []
    while time.monotonic() < begun + SECONDS:
        order = chance.sample(PATHS, len(PATHS))
        spent = dict.fromkeys(PATHS, 0.0)
        for path in [*order, *reversed(order)]:
            before = cpu(pid) - _ran(sender)
            drive(port, made[path], CONNECTIONS, total=REQUESTS)
            time.sleep(SETTLED)
            spent[path] += (cpu(pid) - _ran(sender) - before) / REQUESTS / 2
        rounds.append(list(spent.values()))
    return rounds, (_ran(sender) - sent_before) / (time.monotonic() - begun) * 100


def _ran(thread: Path) -> float:
    """CPU seconds of a thread."""
    return int(thread.read_text().split()[0]) / 1e9


def _sender(port: int) -> int:
    """The kernel's number of the thread that sends reports."""
    return int(httpx.get(f"http://127.0.0.1:{port}/sender").text)


@contextmanager
def _server(framework: str, url: str) -> Iterator[tuple[int, int]]:
    """A server's process id and port."""
    environment = {"FOREBAY_URL": url, "FOREBAY_TOKEN": "token", "PYTHONHASHSEED": "0"}
    port = free_port()
    with process(["-m", "bench.overhead", framework, str(port)], port, environment) as pid:
        yield pid, port


def _request(path: str, asked: dict[str, Any]) -> bytes:
    headers = {"content-type": "application/json", "graphql-client-name": "web", "graphql-client-version": "3.2.0"}
    return request(path, headers, json.dumps(asked).encode())


class Apps:
    """The app in its three forms, by path, and one that tells which thread sends reports."""

    def __init__(self, framework: str) -> None:
        made = _strawberry() if framework == "strawberry" else _ariadne()
        self._apps: dict[str, Any] = dict(zip(PATHS, made, strict=True))
        self._apps["/sender"] = _tell_sender

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._apps[scope["path"]](scope, receive, send)


async def _tell_sender(scope: Any, receive: Any, send: Any) -> None:
    [sender] = [thread.native_id for thread in threading.enumerate() if thread.name == "forebay-exporter"]
    await PlainTextResponse(str(sender))(scope, receive, send)


def _strawberry() -> Iterator[Any]:
    class Idle(SchemaExtension):
        pass

    for extensions in ([for_strawberry.Forebay()], [], [Idle]):
        yield StrawberryApp(strawberry.Schema(Query, extensions=extensions))


def _ariadne() -> Iterator[Any]:
    class Idle(Extension):
        resolve: Any = None

    query = QueryType()
    query.set_field("name", lambda *_: "shop")
    query.set_field("products", lambda *_, first: PRODUCTS[:first])
    schema = make_executable_schema(SCHEMA, query)
    forebay = for_ariadne.Forebay(schema)
    with_, idle = (GraphQLHTTPHandler(extensions=[each]) for each in (forebay, Idle))
    yield AriadneApp(schema, validation_rules=forebay.rules, http_handler=with_)
    yield AriadneApp(schema)
    yield AriadneApp(schema, validation_rules=lambda *_: None, http_handler=idle)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    app = Apps(sys.argv[1])
    gc.freeze()  # what is collected in a round is then what the round has left, and not all that was imported
    server = Server(
        app,
        port=int(sys.argv[2]),
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    asyncio.run(server.serve())
