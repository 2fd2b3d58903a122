"""What no rule of validation sees in a document that stays valid: its answers lose fields, or take another form.

`{ node { ... on Named { name } } }` is valid whether or not `Book` is `Named`; once it is not,
books come without a name.  `{ me { name } }` is valid whether a `Person` stands there or a `Robot`,
whose name can be null.  So the document is walked on both schemas, with the object types that can
stand at each place (specification, "DoesFragmentTypeApply()").  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    get_named_type,
    is_abstract_type,
)

from .type_changes import output_fits

MAX_STEPS: Final = 100_000
"""Selections looked at in one document; one that needs more is not judged."""

Objects = frozenset[str]
_META: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


class Answers(NamedTuple):
    """How answers differ: `lost`, pairs of a condition and an object type to which it applied, where the object can
    still stand; `reshaped`: an object type that could not stand there answers in another form than all that could.
    """

    lost: frozenset[tuple[str, str]]
    reshaped: bool


def compared(old: GraphQLSchema, new: GraphQLSchema, document: DocumentNode) -> Answers | None:
    """For a document that is valid on both schemas; None if it is too large to tell."""
    reshaped = False
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found: set[tuple[str, str]] = set()
    pending: list[tuple[Any, Objects, Objects]] = []
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            was, is_ = (_itself(schema.get_root_type(node.operation)) for schema in (old, new))
            pending.append((node.selection_set, was, is_))
    seen: set[tuple[int, Objects, Objects]] = set()
    steps = 0
    while pending:
        selections, before, after = pending.pop()
        if (id(selections), before, after) in seen:
            continue
        seen.add((id(selections), before, after))
        steps += len(selections.selections)
        if steps > MAX_STEPS:
            return None
        for node in selections.selections:
            if isinstance(node, FieldNode):
                reshaped = reshaped or _reshaped(old, new, before, after, node.name.value)
                if node.selection_set:
                    below = (_below(old, before, node.name.value), _below(new, after, node.name.value))
                    pending.append((node.selection_set, *below))
                continue
            fragment: Any = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            was, is_ = before, after
            if fragment.type_condition:
                name = fragment.type_condition.name.value
                was, is_ = before & possible(old, name), after & possible(new, name)
                found.update((name, each) for each in (was & after) - is_)
                reshaped = reshaped or bool(was and was == before and after - before - is_)
            pending.append((fragment.selection_set, was, is_))
    return Answers(frozenset(found), reshaped)


def possible(schema: GraphQLSchema, name: str) -> Objects:
    """The object types that a type of this name stands for."""
    type_: Any = schema.type_map.get(name)
    if is_abstract_type(type_):
        return frozenset(each.name for each in schema.get_possible_types(type_))
    return _itself(type_)


def _reshaped(old: GraphQLSchema, new: GraphQLSchema, before: Objects, after: Objects, name: str) -> bool:
    """Is this field of another form on an object type that has come, than on all that could stand here?"""
    come = [] if name.startswith("__") or not before else after - before
    return any(not any(output_fits(was, now) for was in _types(old, before, name)) for now in _types(new, come, name))


def _types(schema: GraphQLSchema, objects: Iterable[str], name: str) -> list[Any]:
    """Of the field on these, as far as they have it."""
    fields = (getattr(schema.type_map[each], "fields", {}).get(name) for each in objects)
    return [each.type for each in fields if each]


def _below(schema: GraphQLSchema, objects: Objects, name: str) -> Objects:
    """The object types that can stand below a field of these."""
    if name in _META:
        return possible(schema, get_named_type(_META[name].type).name)
    types = {get_named_type(each).name for each in _types(schema, objects, name)}
    return frozenset().union(*(possible(schema, each) for each in types))


def _itself(type_: Any) -> Objects:
    return frozenset({type_.name}) if isinstance(type_, GraphQLObjectType) else frozenset()
