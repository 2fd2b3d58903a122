"""What the agent takes of a real server: Strawberry and Ariadne, on granian.

    python -m bench.overhead strawberry|ariadne PORT

The same app three times in one process: under /with the integration as its page says, under /without none,
and under /idle an extension that does nothing, which is the framework's part of it.

A server's traffic is of two kinds here, as many of each: `large` is a query with a variable whose answer has 73
fields, `small` one whose answer has one.  A volley is one kind on each of eight connections, twice, to one of the
three.  A round is a volley of each kind to each of the three in random order, then again in the reverse one, so that
what drifts meets them alike; many rounds.  `overhead/F`: CPU of the process for what a round asks, with against
without: median of the rounds, and where it lies in 95 % of samples of them.  The agent's threads work for many requests
at a time, so their CPU is left out of the volleys, and each request has its share of it added.  `…_large` and `…_small`
are of one kind alone, `…_idle` is the extension that does nothing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import socket
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
from starlette.responses import JSONResponse
from strawberry.asgi import GraphQL as StrawberryApp
from strawberry.extensions import SchemaExtension

from forebay.agent.integrations import ariadne as for_ariadne
from forebay.agent.integrations import strawberry as for_strawberry

from .client import drive, read, request
from .processes import cpu
from .result import Result, at_most
from .router import process

CONNECTIONS, EACH, SECONDS, SAMPLES = 8, 2, 150, 1000
LIMIT, UNIT = 2, "% more CPU of the process"
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

Spent = dict[tuple[str, str], float]
"""CPU seconds of a request by path and kind."""


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
        with fake_collector() as collector:
            with _server(framework, collector.url) as (pid, port):
                rounds, behind = _rounds(pid, port)
            assert collector.requests(), "the agent has reported nothing"
        name = f"overhead/{framework}"
        value, against = _more(rounds, "/with", list(ASKED), behind)
        yield at_most(LIMIT, name, value, UNIT, f"{against}; {behind * 1e6:.1f} µs of each in the background")
        for size in ASKED:
            value, against = _more(rounds, "/with", [size], behind)
            yield Result(f"{name}_{size}", value, UNIT, against)
            value, against = _more(rounds, "/idle", [size], 0)
            yield Result(f"{name}_{size}_idle", value, UNIT, against)


def _more(rounds: list[Spent], path: str, sizes: list[str], behind: float) -> tuple[float, str]:
    """What is more than without, in percent, and of what: the median, and where it lies in 95 % of samples."""
    chance, more = random.Random(1), []
    for spent in rounds:
        watched = sum(spent[path, size] + behind for size in sizes)
        more.append((watched / sum(spent["/without", size] for size in sizes) - 1) * 100)
    medians = sorted(statistics.median(chance.choices(more, k=len(more))) for _ in range(SAMPLES))
    each = statistics.median(sum(spent["/without", size] for size in sizes) / len(sizes) for spent in rounds)
    interval = f"{medians[SAMPLES // 40]:.1f} to {medians[-SAMPLES // 40]:.1f}"
    return statistics.median(more), f"{interval} (95 %) of {each * 1e6:,.0f} µs, {len(rounds)} rounds"


def _rounds(pid: int, port: int) -> tuple[list[Spent], float]:
    """What each request takes in each round; and what each with the agent takes in the background."""
    chance = random.Random(1)
    made = {(path, size): _request(path, asked) for path in PATHS for size, asked in ASKED.items()}
    for each in made.values():
        drive(port, [each], CONNECTIONS, 1.0)
    tasks = httpx.get(f"http://127.0.0.1:{port}/threads").json()
    threads = [Path(f"/proc/{pid}/task/{task}/schedstat") for task in tasks]
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    rounds: list[Spent] = []
    before, end = _ran(threads), time.monotonic() + SECONDS
    while time.monotonic() < end:
        order = chance.sample(list(made), len(made))
        spent = dict.fromkeys(made, 0.0)
        for asked in [*order, *reversed(order)]:
            begun = cpu(pid) - _ran(threads)
            for _ in range(EACH):
                for connection in connections:
                    connection.sendall(made[asked])
                for connection in connections:
                    read(connection)
            spent[asked] += (cpu(pid) - _ran(threads) - begun) / (2 * CONNECTIONS * EACH)
        rounds.append(spent)
    behind = (_ran(threads) - before) / (len(rounds) * len(ASKED) * 2 * CONNECTIONS * EACH)
    for connection in connections:
        connection.close()
    return rounds, behind


def _ran(threads: list[Path]) -> float:
    """CPU seconds of these threads."""
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


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
    """The app in its three forms, by path, and one that tells the agent's threads."""

    def __init__(self, framework: str) -> None:
        made = _strawberry() if framework == "strawberry" else _ariadne()
        self._apps: dict[str, Any] = dict(zip(PATHS, made, strict=True))
        self._apps["/threads"] = _tell_threads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._apps[scope["path"]](scope, receive, send)


async def _tell_threads(scope: Any, receive: Any, send: Any) -> None:
    threads = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("forebay-")]
    await JSONResponse(threads)(scope, receive, send)


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
    yield AriadneApp(schema, **forebay.hooks)
    yield AriadneApp(schema)
    yield AriadneApp(schema, http_handler=GraphQLHTTPHandler(extensions=[Idle]))


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
