"""The variants of one operation: which form of its variables makes which shape.

The states of inputs are part of a shape, so one operation can have thousands.  Past a bound
per minute they share one conservative shape, "any of": whatever differs between variants is
marked uncertain there.  Coarser, never wrong.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from ..core.coordinate import Entry, Kind, State
from ..core.record import ShapeColumns
from ..core.shape import OperationType, Shape
from .extract import Operation

MERGED_PER_DISTINCT: Final = 16
"""How many forms are remembered to be merged, for each that may be distinct."""

WEIGHT_PER_CHARACTER: Final = 30
"""Bytes that an analysed operation takes, for each character of its document (measured)."""
WEIGHT_OF_FORM: Final = 500

_STATED = (Kind.ARGUMENT, Kind.INPUT)
_MINUTES_PER_DAY = 24 * 60


class Variants:
    """The forms in which one operation was requested, and the shape that each counts under.

    In any minute at most `limit` forms have a shape of their own.  `find` may be called from
    any thread; `learn` from one at a time.
    """

    def __init__(self, operation: Operation, limit: int, source_length: int = 0) -> None:
        self._operation, self._limit = operation, limit
        self._shapes: dict[Hashable, ShapeColumns] = {}
        self._distinct, self._minute = 0, 0
        self._union: Shape | None = None
        self._merged: ShapeColumns | None = None  # the union's
        self.weight = self._least = WEIGHT_PER_CHARACTER * source_length
        """About how many bytes are held here."""

    def find(self, variables: Mapping[str, Any] | None, minute: int) -> ShapeColumns | None:
        """The shape of a form learnt before, None for a new one."""
        if minute > self._minute:
            self._turn(minute)
        return self._shapes.get(self._operation.form(variables))

    def learn(self, variables: Mapping[str, Any] | None) -> ShapeColumns:
        """Analyse a new form.  Raises what the extractor raises."""
        shape = self._operation.shape(variables)
        union = shape if self._union is None else unite(self._union, shape)
        if union != self._union:
            self._union, self._merged = union, None
        if len(self._shapes) >= self._limit * (1 + MERGED_PER_DISTINCT):
            self._shapes, self.weight = {}, self._least
        if self._distinct < self._limit:
            self._distinct += 1
            columns = carried(shape)
            self.weight += weight_of(columns)
        else:
            columns = self._merged = self._merged or carried(union)
            self.weight += WEIGHT_OF_FORM
        self._shapes[self._operation.form(variables)] = columns
        return columns

    def _turn(self, minute: int) -> None:
        """A new minute may have new distinct forms; on a new day what the union holds is old."""
        if self._distinct >= self._limit:
            self._shapes, self._distinct, self.weight = {}, 0, self._least
        if minute // _MINUTES_PER_DAY > self._minute // _MINUTES_PER_DAY:
            self._union = None
        self._minute = minute


def unite(one: Shape, other: Shape) -> Shape:
    """One shape of the same operation that stands for both: uses what either uses, sees what both see.

    An argument or input field whose state differs between them, or that one of them lacks, is
    marked uncertain.
    """
    left = {(entry.kind, entry.coordinate): entry for entry in one.entries}
    right = {(entry.kind, entry.coordinate): entry for entry in other.entries}
    return Shape(
        operation=one.operation,
        name=one.name,
        type=one.type,
        document=one.document,
        entries=tuple(_either(left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys())),
        coverage=one.coverage & other.coverage,
        invalid=one.invalid and other.invalid,
    )


def _either(one: Entry | None, other: Entry | None) -> Entry:
    entry = one or other
    assert entry is not None
    if one == other:
        return entry
    states = (one.state if one else State.NONE) | (other.state if other else State.NONE)
    return entry._replace(state=states | State.UNCERTAIN if entry.kind in _STATED else states)


def weight_of(shape: ShapeColumns) -> int:
    """About how many bytes a shape takes."""
    return 1000 + len(shape.document) + 250 * len(shape.coordinate)


def carried(shape: Shape) -> ShapeColumns:
    """The shape as it is sent; one that the wire can't carry (a document past 1 MiB, say) counts as not analysed."""
    try:
        columns = ShapeColumns.of(shape)
        msgspec.json.decode(msgspec.json.encode(columns), type=ShapeColumns)
    except (msgspec.MsgspecError, ValueError):
        return not_analysed(shape.name)
    return columns


@lru_cache(maxsize=1024)
def not_analysed(name: str) -> ShapeColumns:
    """The shape of requests of which nothing but the name is known: it covers nothing, so that
    while it has traffic, no element of the schema can be called unused."""
    return ShapeColumns.of(Shape("", storable(name), OperationType.UNKNOWN, "", (), coverage=frozenset()))


def storable(name: str) -> str:
    """A name as a record can hold it: at most 1,024 characters, all of them valid."""
    return name[:1024].encode(errors="replace").decode()
