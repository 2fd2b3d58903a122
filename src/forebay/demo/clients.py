"""The demo's clients: real requests over HTTP, and a ledger of what was asked.

The ledger counts a request once its answer arrived; then the service has counted it too, so
that the ledger is what the pipeline's answers can be held against, exactly.  Where no answer
arrived nobody can know: those are `unknown`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from threading import Event, Lock, Thread
from typing import Any, Final, NamedTuple

import httpx

Line = tuple[str, str, str, bool]
"""(client, version, operation name, whether the answer had errors)"""


class Ask(NamedTuple):
    """One operation of a client; each request takes one of the `variables`.

    `name` is what the service can know it by: "" if it is anonymous or does not parse.
    """

    name: str
    document: str
    variables: tuple[Mapping[str, Any] | None, ...] = (None,)
    weight: int = 10


class Client(NamedTuple):
    """A client, its share of the traffic, and which headers it introduces itself with ("" for none)."""

    name: str
    version: str
    headers: str
    share: float
    asks: tuple[Ask, ...]


STOREFRONT: Final = Ask(
    "Storefront",
    """query Storefront($filter: ProductFilter, $sort: SortKey! = NAME) {
      products(filter: $filter, sort: $sort, first: 8) { ...card }
    }
    fragment card on Product { id name price stock }""",
    (
        {},
        {"filter": None},
        {"filter": {"category": "BOOKS"}, "sort": "PRICE"},
        {"filter": {"category": "GARDEN", "price": {"maximum": 30}, "inStock": True}},
        {"filter": {"text": "music", "price": {"minimum": None}}, "sort": "STOCK"},
    ),
    weight=40,
)
SEARCH: Final = Ask(
    "Search",
    """query Search($text: String!) {
      search(text: $text) {
        __typename
        ... on Node { id }
        ... on Product { name price(currency: USD) }
        ... on Review { rating text }
      }
    }""",
    ({"text": "a"}, {"text": "fine"}, {"text": "books"}),
    weight=20,
)
ADD_REVIEW: Final = Ask(
    "AddReview",
    "mutation AddReview($input: ReviewInput!) { addReview(input: $input) { id rating product { id } } }",
    (
        {"input": {"product": "p1", "rating": 5, "text": "Lovely"}},
        {"input": {"product": "p2", "rating": 4}},
        {"input": {"product": "p2", "rating": 9}},  # the resolver refuses
        {"input": {"product": "p3"}},  # no rating: the variables are refused
    ),
)

CLIENTS: Final = (
    Client(
        "web",
        "3.2.0",
        "graphql-client",
        0.4,
        (
            STOREFRONT,
            SEARCH,
            ADD_REVIEW,
            Ask(
                "ProductPage",
                """query ProductPage($id: ID!, $length: Int, $currency: Currency = EUR) {
                  product(id: $id) {
                    name category price(currency: $currency) description(length: $length)
                    reviews(first: 3) { rating text author { name } }
                  }
                }""",
                (
                    {"id": "p1"},
                    {"id": "p2", "length": 20, "currency": "GBP"},
                    {"id": "p3", "length": None},
                    {"id": "nothing"},
                ),
                weight=30,
            ),
        ),
    ),
    Client(
        "web",
        "3.1.4",
        "graphql-client",
        0.15,
        (
            STOREFRONT,
            Ask(
                "ProductPage",
                "query ProductPage($id: ID!) { product(id: $id) { name oldPrice stock reviews { rating } } }",
                ({"id": "p1"}, {"id": "p5"}),
                weight=30,
            ),
            Ask("Teaser", "query Teaser { products(first: 1) { name teaser } }", weight=5),  # no such field any more
        ),
    ),
    Client(
        "iOS",
        "5.0.1",
        "apollographql-client",
        0.2,
        (
            STOREFRONT,
            Ask("Profile", "query Profile { me { id name reviews { rating product { name } } } }"),
            Ask(
                "PlaceOrder",
                """mutation PlaceOrder($lines: [OrderLineInput!]!, $city: String!, $street: String) {
                  placeOrder(input: {lines: $lines, address: {city: $city, street: $street}}) {
                    id city total(currency: EUR) lines { quantity product { name } }
                  }
                }""",
                (
                    {"lines": [{"product": "p1"}, {"product": "p4", "quantity": 2}], "city": "Basel"},
                    {"lines": [{"product": "p9", "quantity": 1}], "city": "Ghent", "street": "Kaai 1"},
                    {"lines": [{"product": "gone"}], "city": "Turin"},
                ),
            ),
        ),
    ),
    Client(
        "Android App",
        "1.3.4",
        "x-graphql-client",
        0.2,
        (
            STOREFRONT,
            SEARCH,
            Ask("Account", "query Account { me { id name email } }", weight=20),
            Ask(
                "Details",
                """query Details($id: ID!) {
                  node(id: $id) { id ... on Product { name category } ... on User { name email } }
                }""",
                ({"id": "p7"}, {"id": "u1"}, {"id": "r2"}, {"id": "nothing"}),
            ),
        ),
    ),
    Client(
        "",
        "",
        "",
        0.05,
        (
            Ask("", "{ products(first: 100) { id stock } }", weight=20),
            Ask("", "query Export { products { id ", weight=5),  # does not parse
        ),
    ),
)


class Traffic:
    """Clients that ask, each in a thread, until stopped: once.  `rate` is in requests per second, all together."""

    def __init__(self, rate: float = 50.0, clients: tuple[Client, ...] = CLIENTS, seed: int | None = None) -> None:
        self._rate, self._clients, self._seed = rate, clients, seed
        self._stop, self._lock = Event(), Lock()
        self._threads: list[Thread] = []
        self._ledger: Counter[Line] = Counter()
        self._unknown = 0

    @property
    def ledger(self) -> Counter[Line]:
        """Requests that were answered, so far."""
        with self._lock:
            return Counter(self._ledger)

    @property
    def unknown(self) -> int:
        """Requests without an answer from the service: it may have counted them or not."""
        return self._unknown

    def start(self, url: str) -> None:
        """Ask the GraphQL service at `url`."""
        for number, client in enumerate(self._clients):
            chance = random.Random(None if self._seed is None else self._seed + number)
            thread = Thread(target=self._ask_on, args=(client, url, chance), name=f"demo {client.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ask no more, and wait for the answers under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self, client: Client, url: str, chance: random.Random) -> None:
        headers = {f"{client.headers}-name": client.name, f"{client.headers}-version": client.version}
        weights = [ask.weight for ask in client.asks]
        with httpx.Client(headers=headers if client.headers else {}, timeout=10) as http:
            due = time.monotonic()
            while not self._stop.wait(max(due - time.monotonic(), 0)):
                due += chance.expovariate(self._rate * client.share)
                [ask] = chance.choices(client.asks, weights)
                errors = _outcome(http, url, ask, chance.choice(ask.variables))
                with self._lock:
                    if errors is None:
                        self._unknown += 1
                    else:
                        self._ledger[(client.name, client.version, ask.name, errors)] += 1


def _outcome(http: httpx.Client, url: str, ask: Ask, variables: Mapping[str, Any] | None) -> bool | None:
    """Whether the answer had errors; None if none came."""
    try:
        answer = http.post(url, json={"query": ask.document, "variables": variables})
        if answer.status_code >= 500:
            return None
        return answer.status_code >= 400 or bool(answer.json().get("errors"))
    except (httpx.HTTPError, ValueError):
        return None
