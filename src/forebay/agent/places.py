"""Where errors arose: from the paths of an answer's errors to coordinates of the schema.

Of an error nothing is kept but its path, and of that only the response's keys, which the document
defines: no message, no index, no value.  A path is walked over the document with aliases, fragments and
type conditions.  Which object type stood at an abstract place an answer does not tell: then the
coordinate is that of the interface where the field was selected on it, and none where it can't be known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from ..core.coordinate import field
from ..core.execution import NOWHERE
from .document import META, Concrete, Fragments, possible

Path = tuple[str, ...]
"""The keys of a response that lead to an error; empty for one whose path is not told apart."""

Errors = Mapping[Path, int]
"""How many errors of an answer arose at each path."""

LOOKED_AT: Final = 1_000
"""Errors of one answer whose paths are read; the others count under the empty path."""
DISTINCT: Final = 50
"""Paths of one answer that are told apart."""
MAX_LENGTH: Final = 1_000
"""Characters of a path that is told apart."""
KNOWN: Final = 1_000
"""Paths of one operation whose coordinate is remembered."""
MAX_SELECTIONS: Final = 10_000
"""Selections looked at for one path."""


class _Spot(NamedTuple):
    """A selection set, the type on which it stands, and the object types that can stand there."""

    selections: SelectionSetNode
    parent: GraphQLNamedType
    concrete: Concrete


def errors_at(errors: Any, below: Sequence[Any] = ()) -> Errors:
    """Errors by path; they are mappings or objects, as an answer's JSON or graphql-core has them.

    An error without a path is of the request, not of a field, and is left out.  `below` is the path of an
    incremental payload, which an error's own path may or may not begin with.
    """
    if not isinstance(errors, list | tuple):
        return {}
    start = _keys(below)
    found = Counter[Path]()
    for error in errors[:LOOKED_AT]:
        told = error.get("path") if isinstance(error, Mapping) else getattr(error, "path", None)
        if not told:
            continue
        path = _keys(told)
        if path and path[: len(start)] != start:
            path = start + path
        found[path if path in found or len(found) < DISTINCT else ()] += 1
    if len(errors) > LOOKED_AT:
        found[()] += len(errors) - LOOKED_AT
    return found


def _keys(path: Any) -> Path:
    if not isinstance(path, list | tuple):
        return ()
    keys = tuple(key for key in path if isinstance(key, str))
    return keys if sum(map(len, keys), len(keys)) <= MAX_LENGTH else ()


class Places:
    """The places of one operation.  For one thread at a time."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> None:
        self._schema, self._fragments = schema, fragments
        root = schema.get_root_type(operation.operation)
        self._root = [_Spot(operation.selection_set, root, frozenset({root}))] if root else []
        self._known: dict[Path, str] = {}
        self._looked_at = 0

    def coordinate(self, path: Path) -> str:
        """`Type.field`, or NOWHERE.  Never raises."""
        known = self._known.get(path)
        if known is None:
            try:
                known = self._walk(path)
            except Exception:  # a document that does not fit the schema
                known = NOWHERE
            if len(self._known) < KNOWN:
                self._known[path] = known
        return known

    def _walk(self, path: Path) -> str:
        self._looked_at = 0
        spots, found = self._root, NOWHERE
        for key in path:
            fields = [(spot, node) for spot in spots for spot, node in self._selected(spot, key)]
            found = self._certain(fields)
            spots = [below for spot, node in fields if node.selection_set for below in self._below(spot, node)]
        return found

    def _selected(self, spot: _Spot, key: str) -> Iterable[tuple[_Spot, FieldNode]]:
        """The fields that answer under this key, each with where it is selected."""
        spread: set[tuple[str, Concrete]] = set()
        pending = [spot]
        while pending:
            selections, parent, concrete = pending.pop()
            self._looked_at += len(selections.selections)
            if self._looked_at > MAX_SELECTIONS:
                raise OverflowError
            for node in selections.selections:
                if isinstance(node, FieldNode):
                    if (node.alias or node.name).value == key:
                        yield _Spot(selections, parent, concrete), node
                    continue
                fragment: Any = node
                if isinstance(node, FragmentSpreadNode):
                    if (node.name.value, concrete) in spread:
                        continue
                    spread.add((node.name.value, concrete))
                    fragment = self._fragments[node.name.value]
                inner, narrowed = parent, concrete
                if fragment.type_condition is not None:
                    inner = self._schema.type_map[fragment.type_condition.name.value]
                    narrowed = concrete & possible(self._schema, inner)
                if narrowed:
                    pending.append(_Spot(fragment.selection_set, inner, narrowed))

    def _certain(self, fields: Sequence[tuple[_Spot, FieldNode]]) -> str:
        """The coordinate of a field that is selected at these spots: the one that holds at all of them, if any does."""
        names = {node.name.value for _, node in fields}
        if len(names) != 1:
            return NOWHERE
        [name] = names
        if name in META:
            return NOWHERE
        owners = frozenset[GraphQLObjectType]().union(*(spot.concrete for spot, _ in fields))
        covering: Iterable[Any] = owners if len(owners) == 1 else (s.parent for s, _ in fields if s.concrete == owners)
        having = (type_.name for type_ in covering if name in getattr(type_, "fields", ()))
        found = next(having, None)
        return field(found, name) if found else NOWHERE

    def _below(self, spot: _Spot, node: Any) -> Iterable[_Spot]:
        name = node.name.value
        if name in META:
            return
        definition = spot.parent.fields[name]  # type: ignore[attr-defined]  # what is selected on it, it has
        owners = [owner for owner in spot.concrete if name in owner.fields]
        concrete = {possible(self._schema, get_named_type(owner.fields[name].type)) for owner in owners}
        yield _Spot(node.selection_set, get_named_type(definition.type), frozenset().union(*concrete))
