"""Shapes that ran on another schema than the old one, where other types stand now.  Pure.

`{ me { name } }` was recorded as `Query.me` and `User.name`.  Once `User` is called `Person` it is
as valid as before, and none of its entries speaks of `Person`: a change of `Person.name` would not
find it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from graphql import GraphQLSchema, get_named_type, is_abstract_type, is_composite_type

from ..core.coordinate import Kind
from ..core.shape import OperationType, Shape
from .evidence import Evidence
from .place_changes import Change
from .remembered import remembered
from .type_changes import all_reachable, field_at, root_name

_BY_ENTRIES_ALONE: Final = frozenset(
    (
        "type_kind_changed",
        "field_type_changed",
        "argument_type_changed",
        "argument_default_changed",
        "input_field_type_changed",
        "enum_value_removed",
    )
)


class Moved:
    """Looks each field up once, however many shapes select it."""

    def __init__(self, old: GraphQLSchema) -> None:
        self._old = old
        self._known: dict[tuple[str, str], bool] = {}

    def field(self, coordinate: str, named_type: str) -> bool:
        """Was it recorded on a type that the old schema lacks, or does it return another one there?"""
        key = (coordinate, named_type)
        found = self._known.get(key)
        if found is None:
            field = field_at(self._old, coordinate)
            elsewhere = field is not None and get_named_type(field.type).name != named_type != ""
            found = self._known[key] = elsewhere or coordinate.partition(".")[0] not in self._old.type_map
        return found

    def shape(self, shape: Shape) -> bool:
        """Was any of its fields, or the root, of which it selects a field?"""
        root = root_name(self._old, shape.type)
        fields = [entry for entry in shape.entries if entry.kind is Kind.FIELD]
        if any(self.field(*entry[1:3]) for entry in fields):
            return True
        if not (root and fields) or any(entry.coordinate.startswith(f"{root}.") for entry in fields):
            return False
        return not any(name in shape.document for name in ("_entities", "_service"))  # these are no use of the root

    def types(self, evidence: Evidence) -> frozenset[str]:
        """What can stand now below such fields, their arguments' types among it."""
        if not self.shape(evidence.shape):
            return frozenset()
        kinds = ("query", "mutation", "subscription")
        asked = kinds if evidence.shape.type is OperationType.UNKNOWN else (evidence.shape.type.value,)
        starts = {root_name(self._old, kind) for kind in asked} - {""}
        starts -= {coordinate.partition(".")[0] for coordinate in evidence.fields}  # there it began as it would now
        for coordinate, entry in evidence.fields.items():
            field = field_at(self._old, coordinate)
            if field is not None and self.field(coordinate, entry.named_type):
                starts.add(get_named_type(field.type).name)
        return frozenset().union(*(_below(self._old, start) for start in starts))

    def hidden(self, change: Change, document: str) -> bool:
        """Could this matter to a document that stays valid, and on these types only entries would say so?"""
        if change.kind not in _BY_ENTRIES_ALONE:
            return False
        if change.kind == "type_kind_changed":
            return True
        owner, _, name = change.coordinate.partition("(")[0].partition(".")
        names = _returning(self._old, owner) if change.kind == "enum_value_removed" else {name}
        return not names.isdisjoint(re.findall(r"\w+", document))


@remembered
def _returning(schema: GraphQLSchema, enum: str) -> frozenset[str]:
    """The names of fields that return it."""
    fields = (item for each in schema.type_map.values() if is_composite_type(each) for item in _fields(each).items())
    return frozenset(name for name, field in fields if get_named_type(field.type).name == enum)


def _fields(type_: Any) -> dict[str, Any]:
    return getattr(type_, "fields", {})


@remembered
def _below(schema: GraphQLSchema, start: str) -> frozenset[str]:
    """This type and all that a selection on it can reach, arguments included."""
    found: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        type_ = schema.type_map.get(name)
        if type_ is None or name in found:
            continue
        found.add(name)
        if is_abstract_type(type_):
            pending += [each.name for each in schema.get_possible_types(type_)]
        pending += [each.name for each in getattr(type_, "interfaces", ())]
        for field in _fields(type_).values():
            pending.append(get_named_type(field.type).name)
            arguments = getattr(field, "args", {}).values()
            found |= all_reachable((schema,), (get_named_type(place.type).name for place in arguments))
    return frozenset(found)
