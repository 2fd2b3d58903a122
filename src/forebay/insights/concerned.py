"""The traffic of a window that changes of a schema can concern, out of a store that may hold millions of shapes."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

import msgspec

from ..core.coordinate import Entry, Kind, State
from ..core.shape import FULL_COVERAGE, Coverage, OperationType, Shape
from ..store.port import Store
from . import queries
from .answers import Scope
from .seen import Seen
from .touches import Comparison
from .window import Window, utc

MOST_SHAPES = 20_000
"""For each kind of reporter."""

_ENTRIES = msgspec.json.Decoder(list[tuple[Kind, str, str, int]])


def concerned(
    store: Store, scope: Scope, window: Window, compared: Comparison, most: int = MOST_SHAPES
) -> tuple[list[Seen], tuple[str, ...]]:
    """Every shape with traffic in the window that some change touches; and what was left out, in words, if anything."""
    parameters = queries.parameters(scope, window, full=len(FULL_COVERAGE), limit=most)
    lesser = {frozenset(map(Coverage, row["coverage"])) for row in store.query(queries.COVERAGES, parameters)}
    found: list[Seen] = []
    why: tuple[str, ...] = ()
    for coverage in (FULL_COVERAGE, *lesser):
        touch = compared.touched(coverage)
        asked = parameters | {
            "coordinates": sorted(touch.coordinates),
            "types": sorted(touch.types),
            "everything": int(touch.everything),
            "coverage": sorted(coverage),
        }
        if touch and (number := store.query(queries.CONCERNED, asked)[0]["n"]):
            found += _seen(store, asked)
            if number == most:
                why = (f"more than {most:,} operations are concerned, and not all of them were judged",)
    return found, why


def _seen(store: Store, asked: dict[str, Any]) -> list[Seen]:
    shapes = {row["id"]: _shape(row) for row in store.query(queries.CONCERNED_SHAPES, asked)}
    clients: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    last: dict[str, datetime] = {}
    for row in store.query(queries.CONCERNED_TRAFFIC, asked):
        id_, when = row["id"], utc(row["last_seen"])
        if id_ in shapes:
            clients[id_][row["client"], row["client_version"]] = row["n"]
            last[id_] = max(when, last.get(id_, when))
    return [Seen(id_, shapes[id_], who, last[id_]) for id_, who in clients.items()]


def _shape(row: dict[str, Any]) -> Shape:
    return Shape(
        operation=row["operation"],
        name=row["name"],
        type=OperationType(row["type"]),
        document=row["document"],
        entries=tuple(
            Entry(kind, coordinate, named, State(state))
            for kind, coordinate, named, state in _ENTRIES.decode(row["entries"])
        ),
        coverage=frozenset(map(Coverage, row["coverage"])),
    )
