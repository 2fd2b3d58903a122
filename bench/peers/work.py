"""What all reporters are given to record: a schema, and requests of hundreds of distinct documents on it."""

from __future__ import annotations

import itertools
import random
from dataclasses import asdict, dataclass
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema, build_schema, get_named_type

SCHEMA = """
type Query { product(id: ID!): Product products(first: Int, filter: ProductFilter): [Product!]! customer(id: ID!): Customer orders(first: Int, state: OrderState): [Order!]! }
type Product { id: ID! name: String! title: String! url: String! price: Float! stock: Int! rating: Float maker: Maker! reviews(first: Int): [Review!]! related(first: Int): [Product!]! }
type Maker { id: ID! name: String! city: String country: String! founded: Int products(first: Int, filter: ProductFilter): [Product!]! }
type Review { id: ID! text: String! stars: Int! created: String! author: Customer! product: Product! }
type Customer { id: ID! name: String! email: String city: String since: String! orders(first: Int, state: OrderState): [Order!]! reviews(first: Int): [Review!]! }
type Order { id: ID! state: OrderState! created: String! updated: String total: Float! customer: Customer! items: [Item!]! }
type Item { id: ID! amount: Int! price: Float! product: Product! }
enum OrderState { OPEN PAID SENT RETURNED }
input ProductFilter { text: String category: String minimum: Float maximum: Float stock: Boolean }
"""  # noqa: E501  a type on each line
GIVEN: dict[str, tuple[str, Any]] = {
    "id": ("ID!", "42"),
    "first": ("Int", 10),
    "state": ("OrderState", "PAID"),
    "filter": ("ProductFilter", {"text": "tea", "minimum": 1.5, "stock": True}),
}
"""The type of each argument, and what its variable holds."""
CLIENTS = [*itertools.product(("web", "iOS", "Android", "partner"), ("1.0.0", "2.0.1", "2.1.0"))]
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a host would see it; `name` is of this document alone."""

    source: str
    name: str
    variables: dict[str, Any]
    client: str
    version: str

    def key(self) -> tuple[str, str, str]:
        """What arrives of it, in any of the protocols."""
        return self.name, self.client, self.version


def requests(documents: range, repeated: int = 1) -> list[dict[str, Any]]:
    """Each of the documents `repeated` times, from different clients, mixed; the same at each call."""
    schema = build_schema(SCHEMA)
    chance = random.Random(documents.start)
    made = []
    for number in documents:
        source, variables = _document(schema, number)
        for client, version in chance.sample(CLIENTS, repeated):
            made.append(Request(source, f"Operation{number}", variables, client, version))
    chance.shuffle(made)
    return [asdict(request) for request in made]


def _document(schema: GraphQLSchema, number: int) -> tuple[str, dict[str, Any]]:
    chance = random.Random(number)
    used: set[str] = set()
    assert schema.query_type
    body = _selection(chance, schema.query_type, DEPTH, used)
    declared = ", ".join(f"${name}: {GIVEN[name][0]}" for name in sorted(used))
    head = f"query Operation{number}({declared})" if declared else f"query Operation{number}"
    return f"{head} {body}", {name: GIVEN[name][1] for name in used}


def _selection(chance: random.Random, of: GraphQLObjectType, depth: int, used: set[str]) -> str:
    """About 25 fields in all; every argument is given, mostly by a variable."""
    leaves = [name for name, field in of.fields.items() if not hasattr(get_named_type(field.type), "fields")]
    deeper = [name for name in of.fields if name not in leaves]
    parts = chance.sample(leaves, min(len(leaves), chance.randint(3, 6)))
    for name in chance.sample(deeper, min(len(deeper), chance.choice((1, 1, 2)))) if depth > 1 else ():
        field = of.fields[name]
        arguments = []
        for argument in field.args:
            if argument == "first" and chance.random() < 0.5:
                arguments.append(f"first: {chance.randint(1, 50)}")
            else:
                used.add(argument)
                arguments.append(f"{argument}: ${argument}")
        inner = _selection(chance, get_named_type(field.type), depth - 1, used)
        parts.append(f"{name}{f'({chr(44).join(arguments)})' if arguments else ''} {inner}")
    return f"{{ {' '.join(parts)} }}"
