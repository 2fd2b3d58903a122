"""The traffic of a window that changes of a schema can concern, out of a store that may hold millions of shapes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from graphql import GraphQLSchema

from ..core.coordinate import Entry, Kind, State
from ..core.shape import FULL_COVERAGE, Coverage, OperationType, Shape
from ..store.port import Store
from . import queries
from .answers import Scope
from .place_changes import Change
from .seen import Seen
from .touches import Comparison
from .type_changes import root_name
from .window import Window, utc

DEFAULT_ROOTS = ("Query", "Mutation", "Subscription")

_Raw = tuple[str, str, str, int]
_ENTRIES = msgspec.json.Decoder(list[_Raw])

PORTION = 1_000
"""Shapes asked for at once: their ids are part of a request's address."""


class Concerned:
    """Asks the store for shapes with traffic in the window, by what changes touch among each kind of reporter.

    Comparisons with several schemas concern much the same: what one has fetched, the next ones do not.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        window: Window,
        lesser: frozenset[frozenset[Coverage]],
    ) -> None:
        self._store = store
        self._known: dict[str, Seen] = {}
        self._parameters = queries.parameters(scope, window)
        self._coverages = {FULL_COVERAGE, *lesser}
        rows = store.query(queries.FIELD_TYPES, self._parameters)
        self._field_types = [(row["coordinate"], row["named_type"]) for row in rows]
        self._roots = self._ever_roots()
        self._entries: dict[_Raw, Entry] = {}  # shapes share them, and making one takes longer than finding it

    def some(self, compared: Comparison, changes: Sequence[Change], most: int) -> tuple[list[Seen], int]:
        """At most so many of each kind of reporter, the same ones each time; and how many are concerned besides.

        `changes` are some of those of the comparison.
        """
        moved = sorted(row for row in self._field_types if compared.moved.field(*row))
        roots = self._former_roots(compared.schemas.old)
        found: list[Seen] = []
        left = 0
        for coverage in self._coverages:
            touch = compared.touched(coverage, changes)
            if not touch:
                continue
            asked = self._parameters | {
                "coordinates": sorted(touch.coordinates),
                "types": sorted(touch.types | roots),
                "moved": [coordinate for coordinate, _ in moved],
                "moved_types": [type_ for _, type_ in moved],
                "everything": int(touch.everything),
                "apart": int(len(self._coverages) > 1),
                "coverage": sorted(coverage),
                "limit": most,
            }
            rows = self._store.query(queries.CONCERNED, asked)
            for start in range(0, len(rows), PORTION):
                found += self._seen([row["id"] for row in rows[start : start + PORTION]])
            left += rows[0]["n"] - len(rows) if rows else 0
        return found, left

    def _former_roots(self, old: GraphQLSchema) -> set[str]:
        """Types that are roots of a schema of this graph, and others of the old one."""
        now = {root_name(old, default.lower()) for default in DEFAULT_ROOTS}
        return {name for name in self._roots if name in old.type_map} - now

    def _ever_roots(self) -> set[str]:
        """The names of all types that are roots of a schema of this graph."""
        rows = self._store.query(queries.ROOTS, self._parameters)
        return {name for row in rows for name in re.findall(r"\w+\s*:\s*(\w+)", row["roots"]) or DEFAULT_ROOTS}

    def _seen(self, ids: list[str]) -> list[Seen]:
        if unknown := [id_ for id_ in ids if id_ not in self._known]:
            self._known |= {seen.id: seen for seen in self._fetched(unknown)}
        return [self._known[id_] for id_ in ids if id_ in self._known]

    def _fetched(self, ids: list[str]) -> list[Seen]:
        asked = self._parameters | {"shapes": ids}
        shapes = {row["id"]: self._shape(row) for row in self._store.query(queries.SHAPES_OF, asked)}
        clients: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        last: dict[str, datetime] = {}
        for row in self._store.query(queries.TRAFFIC_OF, asked):
            id_, when = row["id"], utc(row["last_seen"])
            if id_ in shapes:
                clients[id_][row["client"], row["client_version"]] = row["n"]
                last[id_] = max(when, last.get(id_, when))
        return [Seen(id_, shapes[id_], who, last[id_]) for id_, who in clients.items()]

    def _shape(self, row: dict[str, Any]) -> Shape:
        return Shape(
            operation=row["operation"],
            name=row["name"],
            type=OperationType(row["type"]),
            document=row["document"],
            entries=tuple(self._entries.get(raw) or self._entry(raw) for raw in _ENTRIES.decode(row["entries"])),
            coverage=frozenset(map(Coverage, row["coverage"])),
        )

    def _entry(self, raw: _Raw) -> Entry:
        kind, coordinate, named, state = raw
        entry = self._entries[raw] = Entry(Kind(kind), coordinate, named, State(state))
        return entry
