"""Marks: a person says that one change of the schema is safe for one operation, who it was and why.

A mark names the change by its content, so that it never lets another one pass: `Int` to `Int!`
is not `Int` to `String`, whatever the coordinate, and `A` to `B` is another change once `B` has
other fields.  It holds until it is revoked; both are kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..store.landing import NAMED
from ..store.port import Store
from . import queries
from .answers import Scope
from .mistakes import BadQuestion
from .window import utc

MAX_WORDS: Final = 1_000
"""Characters of a reason."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`change` and `operation` are the ids that a check gives them.  `at`: when it was made or revoked."""

    change: str
    operation: str
    author: str
    reason: str
    revoked: bool
    at: datetime


class Marks:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def all(self, scope: Scope) -> list[Mark]:
        """The newest first, revoked ones among them."""
        rows = self._store.query(queries.MARKS, queries.graph_parameters(scope))
        return [Mark(**row | {"at": utc(row["at"]), "revoked": bool(row["revoked"])}) for row in rows]

    def active(self, scope: Scope) -> dict[tuple[str, str], Mark]:
        """Those that hold, by change and operation."""
        return {(mark.change, mark.operation): mark for mark in self.all(scope) if not mark.revoked}

    def make(self, scope: Scope, change: str, operation: str, author: str, reason: str) -> None:
        """Durable when it returns."""
        self._note(scope, change, operation, author, reason, revoked=False)

    def revoke(self, scope: Scope, change: str, operation: str, author: str, reason: str) -> None:
        """BadQuestion if there is no such mark."""
        if (change, operation) not in self.active(scope):
            raise BadQuestion(f"change {change} is not marked as safe for operation {operation}")
        self._note(scope, change, operation, author, reason, revoked=True)

    def _note(self, scope: Scope, change: str, operation: str, author: str, reason: str, revoked: bool) -> None:
        for name, text in (("change", change), ("operation", operation), ("author", author), ("reason", reason)):
            if not text.strip() or len(text) > MAX_WORDS:
                raise BadQuestion(f"say the {name} of a mark, in at most {MAX_WORDS:,} characters")
        earlier = (mark.at for mark in self.all(scope) if (mark.change, mark.operation) == (change, operation))
        last = max((int(at.timestamp() * 1000) for at in earlier), default=0)
        row = {
            "record": "mark",
            "v": 1,
            "org": scope.org,
            "graph": scope.graph,
            "source": "console",
            "received": max(int(self._clock() * 1000), last + 1),  # the latest row counts
            "id": change,
            "operation": operation,
            "name": author,
            "document": reason,
            "invalid": revoked,
        }
        self._store.insert(NAMED, [row], f"mark-{uuid.uuid4().hex}")
