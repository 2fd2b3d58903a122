"""What the agent takes of a real server's throughput: Strawberry and Ariadne, on granian.

    python -m bench.overhead strawberry|ariadne PORT

The same app three times in one process: under /with the integration as its page says, under /without none,
and under /idle an extension that does nothing at one hook, which is the framework's part of it.

`overhead/F_S`: eight connections keep the server busy with requests to one of the three for half a second,
then to another, in random order, many times; CPU of the whole process for a request, with its reports and the
server's own threads.  The value is the median of with against without, neighbours in time.  `…_idle`: likewise
for the extension that does nothing.  `…_rate`: requests per second, likewise, by the clock.  `large` is a query
with a variable whose answer has 73 fields, `small` one whose answer has one.
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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import strawberry
from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL as AriadneApp
from ariadne.asgi.handlers import GraphQLHTTPHandler
from ariadne.types import Extension
from fake_collector import fake_collector
from faults.pipeline import free_port
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from strawberry.asgi import GraphQL as StrawberryApp
from strawberry.extensions import SchemaExtension

from forebay.agent.integrations import ariadne as for_ariadne
from forebay.agent.integrations import strawberry as for_strawberry

from .client import drive, request
from .processes import cpu
from .result import Result, at_most
from .router import process

ROUNDS, SECONDS, CONNECTIONS = 60, 0.5, 8
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
                    rounds = _rounds(pid, port, asked)
                assert collector.requests(), "the agent has reported nothing"
            name = f"overhead/{framework}_{size}"
            each = statistics.median(without[0] for _, without, _ in rounds)
            more = statistics.quantiles((with_[0] / without[0] - 1) * 100 for with_, without, _ in rounds)
            against = f"{each * 1e6:,.0f} µs without; half of {ROUNDS} rounds {more[0]:.1f} to {more[2]:.1f}"
            yield at_most(LIMIT, name, more[1], "% more CPU of the process", against)
            hook = statistics.median((idle[0] / without[0] - 1) * 100 for _, without, idle in rounds)
            yield Result(f"{name}_idle", hook, "% more CPU of the process", "an extension that does nothing")
            rate = statistics.median((1 - with_[1] / without[1]) * 100 for with_, without, _ in rounds)
            yield Result(f"{name}_rate", rate, "% fewer requests per second", "others' work is in it")


Measured = tuple[float, float]
"""CPU seconds of a request, and requests per second."""


def _rounds(pid: int, port: int, asked: dict[str, Any]) -> list[list[Measured]]:
    """In each round every path once, in random order."""
    chance = random.Random(1)
    made = {path: [_request(path, asked)] for path in PATHS}
    for requests in made.values():
        drive(port, requests, CONNECTIONS, 1.0)
    rounds = []
    for _ in range(ROUNDS):
        measured = {path: _round(pid, port, made[path]) for path in chance.sample(PATHS, len(PATHS))}
        rounds.append([measured[path] for path in PATHS])
    return rounds


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


def _round(pid: int, port: int, requests: list[bytes]) -> Measured:
    before = cpu(pid)
    served = drive(port, requests, CONNECTIONS, SECONDS)
    return (cpu(pid) - before) / len(served.latencies), served.rate


class Apps:
    """The app in its three forms, by path."""

    def __init__(self, framework: str) -> None:
        made = _strawberry() if framework == "strawberry" else _ariadne()
        self._apps = dict(zip(PATHS, made, strict=True))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._apps[scope["path"]](scope, receive, send)


def _strawberry() -> Iterator[Any]:
    class Idle(SchemaExtension):
        def on_operation(self) -> Iterator[None]:
            yield

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
