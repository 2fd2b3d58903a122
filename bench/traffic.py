"""The simulated traffic of all benches: a schema, operations on it, and what routers report of them.

Everything is drawn from seeded randomness, so that each run measures the same work.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forebay.collector.protocols import cosmo_pb2 as pb
from forebay.core.coordinate import Entry, Kind, field
from forebay.core.histogram import bucket
from forebay.core.shape import OperationType, Shape, content_hash, unique_entries
from forebay.core.tally import Count, Tallies

TYPES = 80
LEAVES = ("id", "name", "title", "state", "price", "stock", "rating", "email", "city", "created", "updated", "url")
SCHEMA_VERSION = content_hash(b"the schema of the benches")
CLIENTS = (("web", "3.2.0"), ("web", "3.1.4"), ("iOS", "5.0.1"), ("Android", "1.3.4"))


class Field(NamedTuple):
    """One field as an operation selects it."""

    path: tuple[str, ...]
    type: str
    named_type: str
    subgraph: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation and the fields that it uses."""

    number: int
    name: str
    hash: str
    document: str
    fields: tuple[Field, ...]

    def shape(self) -> Shape:
        """As an agent or Forebay's collector would make it: the fields, and the types that they need."""
        types = {name for used in self.fields for name in (used.type, used.named_type) if name != "String"}
        entries = [Entry(Kind.TYPE, name) for name in types]
        entries += [Entry(Kind.FIELD, field(used.type, used.path[-1]), used.named_type) for used in self.fields]
        return Shape(self.hash, self.name, OperationType.QUERY, self.document, unique_entries(entries))

    def usage(self, client: tuple[str, str], status: int = 200, failed: bool = False) -> pb.SchemaUsageInfo:
        """As a Cosmo router reports it."""
        return pb.SchemaUsageInfo(
            RequestDocument=self.document,
            TypeFieldMetrics=[
                pb.TypeFieldUsageInfo(
                    Path=used.path, TypeNames=[used.type], SubgraphIDs=[used.subgraph], NamedType=used.named_type
                )
                for used in self.fields
            ],
            OperationInfo=pb.OperationInfo(Hash=self.hash, Name=self.name, Type=pb.QUERY),
            SchemaInfo=pb.SchemaInfo(Version=SCHEMA_VERSION),
            ClientInfo=pb.ClientInfo(Name=client[0], Version=client[1]),
            RequestInfo=pb.RequestInfo(StatusCode=status, error=failed),
        )


def operations(count: int, fields: int = 30) -> list[Operation]:
    """Queries that go five levels deep, each of `fields` fields."""
    return [_operation(number, fields) for number in range(count)]


def _operation(number: int, fields: int) -> Operation:
    chance = random.Random(number)
    used: list[Field] = []
    path: tuple[str, ...] = ()
    opened = ""
    type_ = "Query"
    while len(used) < fields:
        following = f"Type{chance.randrange(TYPES)}" if len(path) < 5 else type_
        if following != type_:
            name = f"to{following}"
            path = (*path, name)
            used.append(Field(path, type_, following, _subgraph(type_)))
            opened += f"{name} {{ "
            type_ = following
        for leaf in chance.sample(LEAVES, min(5, fields - len(used))):
            if Field((*path, leaf), type_, "String", _subgraph(type_)) not in used:
                used.append(Field((*path, leaf), type_, "String", _subgraph(type_)))
                opened += f"{leaf} "
    name = f"Operation{number}"
    document = f"query {name} {{ {opened}{'} ' * len(path)}}}"
    return Operation(number, name, str(chance.getrandbits(63)), document, tuple(used))


def _subgraph(type_: str) -> str:
    return f"subgraph-{sum(type_.encode()) % 8}"


def durations(chance: random.Random, requests: int) -> dict[int, int]:
    """A histogram of `requests` durations around 30 ms: a few buckets."""
    histogram: dict[int, int] = {}
    for _ in range(requests):
        number = bucket(chance.lognormvariate(-3.5, 0.5))
        histogram[number] = histogram.get(number, 0) + 1
    return histogram


def count(chance: random.Random, requests: int, errors: int = 0) -> Count:
    return requests, errors, durations(chance, requests)


def tallies(chance: random.Random, shapes: Sequence[str], pick: Iterator[int], minute: int, rows: int) -> Tallies:
    """So many, of one minute, as a router reports them: `pick` says which of the shapes is requested next."""
    drawn: Tallies = {}
    while len(drawn) < rows:
        client = chance.choice(CLIENTS)
        drawn[minute, SCHEMA_VERSION, shapes[next(pick)], *client, 200] = count(chance, chance.randint(1, 8))
    return drawn


def popular(chance: random.Random, among: int) -> Iterator[int]:
    """Numbers below `among`, some much more often than others, as operations are."""
    weights = [1 / (rank + 10) for rank in range(among)]
    while True:
        yield from chance.choices(range(among), weights, k=10_000)
