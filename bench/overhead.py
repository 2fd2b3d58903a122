"""What the agent takes of a real server's throughput: Strawberry and Ariadne, on granian.

    python -m bench.overhead strawberry|ariadne PORT

The same app three times in one process: under /with the integration as its page says, under /without none,
and under /idle an extension that does nothing at the same hooks, which is the framework's part of it.

`overhead/F_S`: the requests of one connection go to all in turn, and the server's thread takes the CPU time
of each.  The value is the median difference of neighbours against the median without; granian's own threads
are not in it, and the agent's are not.  `…_idle`: likewise for the extension that does nothing.

`…_cpu`: two such processes driven in turn, one only with, the other only without, in many short rounds, and all
of their CPU for a request: reports and the server's threads are in it, and so is all that differs between two
processes or disturbs one of them.  `…_rate`: the same rounds by the clock.  `large` is a query with a variable
whose answer has 73 fields, `small` one whose answer has one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from strawberry.asgi import GraphQL as StrawberryApp
from strawberry.extensions import SchemaExtension

from forebay.agent.integrations import ariadne as for_ariadne
from forebay.agent.integrations import strawberry as for_strawberry

from .client import drive, request
from .processes import cpu
from .result import Result, at_most
from .router import process

TURNS, ROUNDS, SECONDS, CONNECTIONS = 3_000, 40, 0.4, 8
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
            name = f"overhead/{framework}_{size}"
            with fake_collector() as collector, _server(framework, collector.url) as (_, port):
                with_, without, idle = _in_turn(port, asked)
            each = statistics.median(without)
            more = [(one - other) / each * 100 for one, other in zip(with_, without, strict=True)]
            quarters = statistics.quantiles(more)
            against = (
                f"{each * 1e6:,.0f} µs without; half of {len(more):,} pairs {quarters[0]:.1f} to {quarters[2]:.1f}"
            )
            yield at_most(LIMIT, name, quarters[1], "% more CPU of the thread", against)
            hooks = statistics.median((one - other) / each * 100 for one, other in zip(idle, without, strict=True))
            yield Result(f"{name}_idle", hooks, "% more CPU of the thread", "an extension that does nothing")
            with fake_collector() as collector:
                rounds = _rounds(framework, collector.url, asked)
                assert collector.requests(), "the agent has reported nothing"
            ratios = statistics.quantiles((one[0] / other[0] - 1) * 100 for one, other in rounds)
            against = f"half of {len(rounds)} rounds {ratios[0]:.1f} to {ratios[2]:.1f}; others' work is in it"
            yield Result(f"{name}_cpu", ratios[1], "% more CPU of the process", against)
            rate = statistics.median((1 - one[1] / other[1]) * 100 for one, other in rounds)
            yield Result(f"{name}_rate", rate, "% fewer requests per second", "others' work is in it")


Measured = tuple[float, float]
"""CPU seconds of a request, and requests per second."""


def _in_turn(port: int, asked: dict[str, Any]) -> list[list[float]]:
    """CPU seconds of each request by path, all paths in turn and in random order.

    In a fixed order the garbage collector, whose work comes every so many objects, meets one of them more often.
    """
    chance = random.Random(1)
    made = {path: _request(path, asked) for path in PATHS}
    requests = [made[path] for _ in range(TURNS) for path in chance.sample(PATHS, len(PATHS))]
    for turns in (TURNS // 5, TURNS):
        drive(port, requests, 1, total=len(PATHS) * turns)
        taken = httpx.get(f"http://127.0.0.1:{port}/taken").json()
    return [taken[path] for path in PATHS]


def _rounds(framework: str, url: str, asked: dict[str, Any]) -> list[tuple[Measured, Measured]]:
    with _server(framework, url) as one, _server(framework, url) as other:
        both = [(*each, [_request(path, asked)]) for each, path in zip((one, other), PATHS, strict=False)]
        for _, port, requests in both:
            drive(port, requests, CONNECTIONS, 1.0)
        rounds = []
        for number in range(ROUNDS):
            measured = {each[0]: _round(*each) for each in (both if number % 2 else both[::-1])}
            rounds.append((measured[one[0]], measured[other[0]]))
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
    """The app in its three forms, by path; /taken tells, once, what CPU each request took."""

    def __init__(self, framework: str) -> None:
        made = _strawberry() if framework == "strawberry" else _ariadne()
        self._apps = dict(zip(PATHS, made, strict=True))
        self._taken: dict[str, list[float]] = {path: [] for path in PATHS}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path not in self._apps:
            body, self._taken = json.dumps(self._taken).encode(), {path: [] for path in PATHS}
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            return
        begun = time.thread_time()
        await self._apps[path](scope, receive, send)
        self._taken[path].append(time.thread_time() - begun)


def _strawberry() -> Iterator[Any]:
    class Idle(SchemaExtension):
        def on_operation(self) -> Iterator[None]:
            yield

        def on_execute(self) -> Iterator[None]:
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
    server = Server(
        Apps(sys.argv[1]),
        port=int(sys.argv[2]),
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    asyncio.run(server.serve())
