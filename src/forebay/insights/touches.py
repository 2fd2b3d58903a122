"""Which shapes a change can concern at all, as sets that the store looks up: the others need not be judged.

Whatever the judge finds an effect for is among them (`schema_impact`).  How far a change reaches
depends on what a reporter sees: where it does not show what is needed to tell, all are concerned
that might hold it.  Pure.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from graphql import GraphQLSchema, get_named_type

from ..core.coordinate import State
from ..core.shape import FULL_COVERAGE, Coverage, Shape
from .evidence import places_of
from .moved import Moved
from .place_changes import Change, Severity
from .rules import Schemas
from .schema_changes import changes
from .subgraph import with_federation
from .type_changes import BUILT_IN, all_reachable, around, is_opaque, of_interfaces

HARMLESS = frozenset(
    (
        "type_added",
        "field_added",
        "enum_value_added",
        "deprecation_changed",
        "description_changed",
        "root_type_added",
        "directive_added",
        "directive_usage_added",
        "directive_usage_removed",
    )
)
"""Where they are safe, no shape can tell anything about them."""

UNRECORDED = ("@skip", "@include")
"""Directives that shapes have no entries of: every schema has them."""

NEEDS = {
    "argument": frozenset({Coverage.FIELDS, Coverage.ARGUMENTS}),
    "input": frozenset({Coverage.INPUTS}),
    "one": frozenset({Coverage.INPUTS}),
    "enum": frozenset({Coverage.FIELDS, Coverage.ENUM_VALUES}),
    "directive": frozenset({Coverage.DOCUMENT}),
}
"""First word of a change's kind → what a reporter must see for its silence to mean anything; else the fields."""


def needs(change: Change) -> frozenset[Coverage]:
    if change.kind.startswith("directive_argument_"):
        return NEEDS["directive"] | {Coverage.ARGUMENTS}  # no document shows that a variable held null
    return NEEDS.get(change.kind.partition("_")[0], frozenset({Coverage.FIELDS}))


@dataclass(frozen=True, slots=True)
class Touch:
    """Shapes with an entry of one of the coordinates (not of what was absent), or of one of the types: itself, of it,
    or in it.

    `everything`: all shapes whatsoever.
    """

    coordinates: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    everything: bool = False

    def concerns(self, shape: Shape) -> bool:
        """What the store finds by the entries that it keeps."""
        if self.everything or any(
            entry.coordinate in self.coordinates and entry.state != State.ABSENT for entry in shape.entries
        ):
            return True
        return bool(self.types) and any(
            entry.named_type in self.types or entry.coordinate.partition(".")[0] in self.types
            for entry in shape.entries
        )

    def __bool__(self) -> bool:
        return bool(self.everything or self.coordinates or self.types)

    def __or__(self, other: Touch) -> Touch:
        return Touch(
            self.coordinates | other.coordinates, self.types | other.types, self.everything or other.everything
        )


EVERYTHING = Touch(everything=True)


class Comparison:
    """Two schemas, every change between them, and what the changes touch."""

    def __init__(self, old: GraphQLSchema, new: GraphQLSchema) -> None:
        old, new = with_federation(old), with_federation(new)
        self.schemas = Schemas(old, new)
        self.changes = changes(old, new)
        self.moved = Moved(old)
        self._touched: dict[tuple[Change, frozenset[Coverage]], Touch] = {}
        self._by_all: dict[frozenset[Coverage], Touch] = {}

    def touched(self, coverage: frozenset[Coverage], among: Sequence[Change]) -> Touch:
        """By these changes together, among shapes of reporters that see so much."""
        return functools.reduce(operator.or_, (self._touch(change, coverage) for change in among), Touch())

    def concerns(self, shape: Shape) -> bool:
        """Can any change matter to this shape?"""
        if shape.coverage not in self._by_all:
            self._by_all[shape.coverage] = self.touched(shape.coverage, self.changes)
        touch = self._by_all[shape.coverage]
        return touch.concerns(shape) or (bool(touch) and self.moved.shape(shape))

    def _touch(self, change: Change, coverage: frozenset[Coverage]) -> Touch:
        key = (change, coverage)
        if key not in self._touched:
            harmless = change.kind in HARMLESS and change.severity is Severity.SAFE
            self._touched[key] = Touch() if harmless else _touch(self.schemas, change, coverage)
        return self._touched[key]


def _touch(schemas: Schemas, change: Change, coverage: frozenset[Coverage]) -> Touch:
    owner, is_argument, _ = change.coordinate.partition("(")
    type_ = owner.partition(".")[0]
    whole = coverage == FULL_COVERAGE
    if Coverage.FIELDS not in coverage or owner in UNRECORDED or change.kind == "root_type_changed":
        return EVERYTHING
    if owner.startswith("@"):  # only Forebay's own agents tell of directives, and of conditions on types
        return Touch(frozenset({owner})) if whole else EVERYTHING
    if change.kind == "argument_default_changed":
        return Touch(frozenset({owner, *of_interfaces(schemas.old, owner)}))
    if is_argument or change.kind.startswith("field_"):
        return Touch(frozenset({change.coordinate if whole and change.kind == "argument_removed" else owner}))
    given = places_of(schemas.old, type_)
    if change.kind.startswith(("input_field_", "one_of_", "enum_value_")):
        if needs(change) - coverage and change.kind == "input_field_type_changed":
            return EVERYTHING  # whatever a nullable variable held
        own = Touch(given, frozenset({type_}))
        return own if whole else own | _holding(schemas.old, type_, given)
    types = {type_, change.detail, *around(schemas.old, type_)}
    if type_ in BUILT_IN:  # a variable of it can be inside
        if "_Any" in schemas.old.type_map:
            return EVERYTHING  # shapes have no entries of who asks a subgraph for entities
        types |= {each.name for each in schemas.old.type_map.values() if is_opaque(each)}
    return Touch(given, frozenset(types - {""})) if whole else EVERYTHING


def _holding(schema: GraphQLSchema, type_: str, places: frozenset[str]) -> Touch:
    """Fields that may have been given a value of this type, which can be in these places."""
    for directive in schema.directives:
        if type_ in all_reachable((schema,), (get_named_type(each.type).name for each in directive.args.values())):
            return EVERYTHING
    return Touch(frozenset(place.partition("(")[0] for place in places if "(" in place))
