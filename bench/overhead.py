"""What the agent takes of a real server's throughput: Strawberry and Ariadne, on granian.

    python -m bench.overhead strawberry|ariadne with|without PORT

The same app twice, each in a process of its own, one with the integration, as its page says, and one
without.  Both are driven in turn, over the same number of connections, for many short rounds in an order
that alternates; three times with new processes, since two processes of one program differ too.

`…_large`: a query with a variable whose answer has 79 fields; `…_small`: one whose answer has one.
The value is how much more CPU the server's process takes for a request, all threads, so that analysing,
sending reports and what the framework does for any extension are in it.  `…_rate`: by the clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
from collections.abc import Iterator
from typing import Any

import strawberry
from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL as AriadneApp
from ariadne.asgi.handlers import GraphQLHTTPHandler
from fake_collector import fake_collector
from faults.pipeline import free_port
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from strawberry.asgi import GraphQL as StrawberryApp

from forebay.agent.integrations import ariadne as for_ariadne
from forebay.agent.integrations import strawberry as for_strawberry

from .client import drive, request
from .processes import cpu
from .result import Result, at_most
from .router import process

PAIRS, ROUNDS, SECONDS, CONNECTIONS = 3, 20, 0.5, 8
LIMIT = 2
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
            rounds = [each for _ in range(PAIRS) for each in _pair(framework, asked)]
            each = statistics.median(without[0] for _, without in rounds) * 1e6
            more = [(with_[0] / without[0] - 1) * 100 for with_, without in rounds]
            rate = statistics.median((1 - with_[1] / without[1]) * 100 for with_, without in rounds)
            quarters = statistics.quantiles(more)
            against = (
                f"{each:,.0f} µs a request without; half of {len(more)} rounds {quarters[0]:.1f} to {quarters[2]:.1f}"
            )
            yield at_most(LIMIT, f"overhead/{framework}_{size}", quarters[1], "% more CPU", against)
            yield Result(
                f"overhead/{framework}_{size}_rate", rate, "% fewer requests per second", "others' work is in it"
            )


Measured = tuple[float, float]
"""CPU seconds of a request, and requests per second."""


def _pair(framework: str, asked: dict[str, Any]) -> list[tuple[Measured, Measured]]:
    headers = {"content-type": "application/json", "graphql-client-name": "web", "graphql-client-version": "3.2.0"}
    requests = [request("/", headers, json.dumps(asked).encode())]
    with fake_collector() as collector:
        environment = {"FOREBAY_URL": collector.url, "FOREBAY_TOKEN": "token", "PYTHONHASHSEED": "0"}
        ports = {how: free_port() for how in ("with", "without")}
        commands = {how: ["-m", "bench.overhead", framework, how, str(port)] for how, port in ports.items()}
        with (
            process(commands["with"], ports["with"], environment) as agent,
            process(commands["without"], ports["without"], environment) as bare,
        ):
            both = [(agent, ports["with"]), (bare, ports["without"])]
            for _, port in both:
                drive(port, requests, CONNECTIONS, 1.0)
            rounds = []
            for number in range(ROUNDS):
                turn = both if number % 2 else both[::-1]
                measured = {pid: _round(pid, port, requests) for pid, port in turn}
                rounds.append((measured[agent], measured[bare]))
    assert collector.requests(), "the agent has reported nothing"
    return rounds


def _round(pid: int, port: int, requests: list[bytes]) -> Measured:
    before = cpu(pid)
    served = drive(port, requests, CONNECTIONS, SECONDS)
    return (cpu(pid) - before) / len(served.latencies), served.rate


def _app(framework: str, reporting: bool) -> Any:
    if framework == "strawberry":
        return StrawberryApp(strawberry.Schema(Query, extensions=[for_strawberry.Forebay()] if reporting else []))
    query = QueryType()
    query.set_field("name", lambda *_: "shop")
    query.set_field("products", lambda *_, first: PRODUCTS[:first])
    schema = make_executable_schema(SCHEMA, query)
    if not reporting:
        return AriadneApp(schema)
    forebay = for_ariadne.Forebay(schema)
    return AriadneApp(schema, validation_rules=forebay.rules, http_handler=GraphQLHTTPHandler(extensions=[forebay]))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = Server(
        _app(sys.argv[1], sys.argv[2] == "with"),
        port=int(sys.argv[3]),
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    asyncio.run(server.serve())
