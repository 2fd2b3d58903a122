"""One graph with a schema, clients and traffic, for tests of the questions and the page.

Reports go through a real journal and the real loader into the real engine.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import build_schema

from forebay.agent.extract import Extractor
from forebay.core.execution import Outcome
from forebay.core.histogram import bucket
from forebay.core.record import (
    SCHEMAS,
    SHAPES,
    TALLIES,
    TOPICS,
    ExecutionColumns,
    Record,
    Report,
    SchemaRecord,
    ShapeColumns,
    ShapeRecord,
    columns_of,
    encode,
    fields_of,
)
from forebay.core.shape import Shape, content_hash
from forebay.core.tally import Tallies
from forebay.insights.answers import Scope
from forebay.insights.insights import Insights
from forebay.insights.questions import Questions
from forebay.journal.port import Message
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.store.clickhouse import ClickHouse

GROUP = "loaders"
SDL = '''
"""What people come for."""
type Query {
  user(id: ID!): User
  users(filter: UserFilter, role: Role, first: Int = 10): [User!]!
  node(id: ID!): Node
}
interface Node { id: ID! }
type User implements Node {
  id: ID!
  email: String
  name: String!
  nick: String @deprecated(reason: "use name")
  role: Role
}
type Device implements Node { id: ID! serial: String }
input UserFilter { name: String, email: String, active: Boolean }
enum Role { ADMIN MEMBER GUEST }
'''
runs = itertools.count()


class World:
    """Data starts 60 days ago, so that every shorter window is complete until a test spoils it."""

    def __init__(self, store: ClickHouse, path: Path, org: str, graph: str = "shop", sdl: str = SDL) -> None:
        self.scope = Scope(org, graph)
        self.path = path
        self.now = time.time()
        self.store = store
        self.journal = SqliteJournal(path, TOPICS)
        self.pipeline = f"{org}-{next(runs)}"
        self._loading = store
        self.restart()
        self._extractor = Extractor(build_schema(sdl))
        self._sequence = itertools.count(1)
        self.rehouse(store)

    def restart(self) -> None:
        """Another loader, in place of one that was killed."""
        consumer = self.journal.consumer(GROUP, TOPICS)
        self._loader = Loader(consumer, self._loading, self.pipeline, Pace(), time.monotonic)

    def rehouse(self, store: ClickHouse) -> None:
        """Questions go to another store from now on; it may be in trouble."""
        self.insights = Insights(
            store, self.journal, GROUP, self.pipeline, lambda: self.now, lambda: self._loader.progress
        )

    def publish(self, sdl: str = SDL, version: str = "") -> None:
        """Requests run on version `v1`, if nothing else is said."""
        self._append(SCHEMAS, SchemaRecord(id=version or content_hash(sdl.encode()), sdl=sdl, **self._stamp()))

    def shape(self, document: str, variables: Mapping[str, Any] | None = None) -> Shape:
        return self._extractor.operation(document).shape(variables)

    def request(
        self,
        document: str | Shape,
        requests: int = 1,
        client: str = "web",
        version: str = "1.0",
        variables: Mapping[str, Any] | None = None,
        errors: int = 0,
        ago: float = 600,
        seconds: float = 0.02,
        described: bool = True,
        schema: str = "v1",
        **report: Any,
    ) -> Shape:
        """This many requests `ago` seconds before now, on this version, and the shape that they have."""
        shape = document if isinstance(document, Shape) else self.shape(document, variables)
        if described:
            self.describe(shape)
        key = (int(self.now - ago) // 60, schema, shape.id(), client, version, 200)
        self.report({key: (requests, errors, {bucket(seconds): requests})}, **report)
        return shape

    def describe(self, shape: Shape) -> None:
        self._append(SHAPES, ShapeRecord(**fields_of(ShapeColumns.of(shape)), **self._stamp()))

    def outcome(
        self,
        shape: Shape,
        coordinate: str,
        outcome: Outcome,
        client: str = "web",
        version: str = "1.0",
        ago: float = 600,
    ) -> None:
        """What became of a field in requests of this shape, `ago` seconds before now."""
        place = (int(self.now - ago) // 60, shape.id() if outcome.errors else "", coordinate, client, version)
        self.report({}, executions=ExecutionColumns.of({place: outcome}))

    def report(self, tallies: Tallies, **fields: Any) -> None:
        columns: dict[str, Any] = columns_of(tallies)
        stamp: dict[str, Any] = {"agent": "a1", "sequence": next(self._sequence)} | fields | self._stamp()
        self._append(TALLIES, Report(**columns, **stamp))

    def append_raw(self, raw: bytes) -> None:
        self.journal.append([Message(TALLIES, "key", raw)]).result()

    def start(self, days: float = 60, document: str = "{ user(id: 1) { id } }") -> None:
        """A first request, long ago."""
        self.request(document, client="first", version="0", ago=days * 86_400)

    def load(self) -> None:
        self._loader.drain()
        self.now = time.time()

    def ask(self, last: str = "7d") -> Questions:
        return self.insights.ask(self.scope, last)

    def close(self) -> None:
        self.journal.close()

    def _append(self, topic: str, record: Record) -> None:
        self.journal.append([Message(topic, "key", encode(record))]).result()

    def _stamp(self) -> dict[str, Any]:
        return {
            "org": self.scope.org,
            "graph": self.scope.graph,
            "source": "native",
            "received": int(self.now * 1000),
        }


def database(store: ClickHouse, name: str) -> ClickHouse:
    """A database of its own beside the shared one, in the same engine: dead letters that nobody can be
    found for concern every graph of a database."""
    path = store.query("SELECT path FROM system.disks WHERE name = 'default'")[0]["path"]
    own = ClickHouse(f"chdb:{path.rstrip('/')}", database=name)
    own.migrate()
    return own
