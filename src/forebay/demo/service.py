"""The demo's service: a small shop in Strawberry that reports its usage, in a process of its own.

    FOREBAY_TOKEN=… python -m forebay.demo.service --port 4000 --collector http://127.0.0.1:8080

On SIGTERM it stops serving, then waits at most ten seconds until its usage is acknowledged.
Some of the schema is used by nobody, some only by old clients, some is deprecated: on purpose.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import strawberry
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from strawberry.asgi import GraphQL
from strawberry.extensions import SchemaExtension

from ..agent.integrations.strawberry import Forebay

FLUSH = 10.0
"""Seconds that the end may wait for the last report."""


@strawberry.enum
class Category(Enum):
    BOOKS = "books"
    GAMES = "games"
    GARDEN = "garden"
    MUSIC = "music"


@strawberry.enum
class Currency(Enum):
    EUR = 1.0
    USD = 1.1
    GBP = 0.85


@strawberry.enum
class SortKey(Enum):
    NAME = "name"
    PRICE = "price"
    STOCK = "stock"


@strawberry.interface(description="Whatever has an id")
class Node:
    id: strawberry.ID


@strawberry.type
class User(Node):
    name: str
    email: str
    phone: str | None = None

    @strawberry.field
    async def reviews(self) -> list[Annotated[Review, strawberry.lazy(__name__)]]:
        return [review for review in REVIEWS if review.author is self]


@strawberry.type
class Review(Node):
    text: str
    rating: int
    author: User
    product: Annotated[Product, strawberry.lazy(__name__)]


@strawberry.type
class Product(Node):
    name: str
    category: Category
    euros: strawberry.Private[float]
    stock: int
    old_price: float = strawberry.field(default=9.99, deprecation_reason="Use price")
    legacy_code: str = strawberry.field(default="", description="Of the system before this one")

    @strawberry.field
    def price(self, currency: Currency = Currency.EUR) -> float:
        return round(self.euros * currency.value, 2)

    @strawberry.field
    def description(self, length: int | None = None) -> str:
        return f"{self.name}, the best there is in {self.category.value}"[:length]

    @strawberry.field
    async def reviews(self, first: int = 5, minimum_rating: int | None = None) -> list[Review]:
        await asyncio.sleep(random.expovariate(200))
        return [review for review in REVIEWS if review.product is self and review.rating >= (minimum_rating or 0)][
            :first
        ]


@strawberry.type
class OrderLine:
    product: Product
    quantity: int


@strawberry.type
class Order(Node):
    lines: list[OrderLine]
    city: str

    @strawberry.field
    def total(self, currency: Currency = Currency.EUR) -> float:
        return round(sum(line.product.euros * line.quantity for line in self.lines) * currency.value, 2)


SearchResult = Annotated[Product | User | Review, strawberry.union("SearchResult")]


@strawberry.input
class PriceRange:
    minimum: float | None = None
    maximum: float | None = None


@strawberry.input
class ProductFilter:
    text: str | None = None
    category: Category | None = None
    price: PriceRange | None = None
    in_stock: bool | None = None


@strawberry.input
class ReviewInput:
    product: strawberry.ID
    rating: int
    text: str = ""


@strawberry.input
class OrderLineInput:
    product: strawberry.ID
    quantity: int = 1


@strawberry.input
class AddressInput:
    city: str
    street: str | None = None


@strawberry.input
class OrderInput:
    lines: list[OrderLineInput]
    address: AddressInput
    note: str | None = None


USERS = [
    User(id=strawberry.ID(f"u{number}"), name=name, email=f"{name.lower()}@example.org")
    for number, name in enumerate(("Ada", "Alan", "Edsger", "Grace"))
]
PRODUCTS = [
    Product(
        id=strawberry.ID(f"p{number}"),
        name=f"{category.name.title()} {number}",
        category=category,
        euros=5.0 + 3 * number,
        stock=number % 4,
    )
    for number, category in enumerate(list(Category) * 4)
]
REVIEWS = [
    Review(id=strawberry.ID(f"r{number}"), text="Fine", rating=number % 5 + 1, author=author, product=product)
    for number, (author, product) in enumerate(zip(USERS * 4, PRODUCTS, strict=True))
]


def matches(product: Product, wanted: ProductFilter) -> bool:
    price = wanted.price or PriceRange()
    return (
        (wanted.text or "").lower() in product.name.lower()
        and wanted.category in (None, product.category)
        and (price.minimum or 0) <= product.euros <= (price.maximum or 1e9)
        and (not wanted.in_stock or product.stock > 0)
    )


def product_of(id: str) -> Product:
    for product in PRODUCTS:
        if product.id == id:
            return product
    raise ValueError(f"there is no product {id}")


@strawberry.type
class Query:
    @strawberry.field
    def me(self) -> User:
        return USERS[0]

    @strawberry.field
    def node(self, id: strawberry.ID) -> Node | None:
        return next((node for node in (*PRODUCTS, *USERS, *REVIEWS) if node.id == id), None)

    @strawberry.field
    def product(self, id: strawberry.ID) -> Product | None:
        return product_of(id)

    @strawberry.field
    async def products(
        self, filter: ProductFilter | None = None, sort: SortKey = SortKey.NAME, first: int = 10
    ) -> list[Product]:
        await asyncio.sleep(random.expovariate(500))
        found = [product for product in PRODUCTS if filter is None or matches(product, filter)]
        attribute = "euros" if sort is SortKey.PRICE else sort.value
        return sorted(found, key=lambda product: str(getattr(product, attribute)))[:first]

    @strawberry.field
    async def search(self, text: str, first: int = 10) -> list[SearchResult]:
        await asyncio.sleep(random.expovariate(100))
        products = [product for product in PRODUCTS if text.lower() in product.name.lower()]
        users = [user for user in USERS if text.lower() in user.name.lower()]
        reviews = [review for review in REVIEWS if text.lower() in review.text.lower()]
        found: list[SearchResult] = [*products, *users, *reviews]
        return found[:first]


@strawberry.type
class Mutation:
    @strawberry.mutation
    def add_review(self, input: ReviewInput) -> Review:
        if not 1 <= input.rating <= 5:
            raise ValueError("a rating is 1 to 5")
        product = product_of(input.product)
        return Review(id=strawberry.ID("new"), text=input.text, rating=input.rating, author=USERS[0], product=product)

    @strawberry.mutation
    def place_order(self, input: OrderInput) -> Order:
        lines = [OrderLine(product=product_of(line.product), quantity=line.quantity) for line in input.lines]
        return Order(id=strawberry.ID("o1"), lines=lines, city=input.address.city)

    @strawberry.mutation
    def restock(self, product: strawberry.ID, quantity: int) -> Product:
        return product_of(product)


def make_schema(*extensions: Forebay) -> strawberry.Schema:
    made: Sequence[type[SchemaExtension] | Forebay] = extensions
    return strawberry.Schema(Query, Mutation, types=[Product, User, Review, Order], extensions=made)


def sdl() -> str:
    """The schema's text, as it is published and as the agent reports it."""
    return make_schema().as_str()


async def serve(port: int, forebay: Forebay) -> None:
    """Serve until SIGTERM or SIGINT."""
    app = GraphQL(make_schema(forebay))
    server = Server(app, port=port, interface=Interfaces.ASGINL, websockets=False, log_level=LogLevels.error)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve()


def main() -> int:
    parser = argparse.ArgumentParser(prog="forebay.demo.service", description="A small shop that reports its usage.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--collector", required=True, help="its URL; the token is FOREBAY_TOKEN")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between reports")
    options = parser.parse_args()
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)  # some of the demo's requests fail on purpose
    forebay = Forebay(options.collector, interval=options.interval, executions=0.1)
    asyncio.run(serve(options.port, forebay))
    return 0 if forebay.close(FLUSH) else 1


if __name__ == "__main__":
    raise SystemExit(main())
