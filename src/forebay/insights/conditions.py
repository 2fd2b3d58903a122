"""Type conditions that a document keeps and that no longer apply: it stays valid, and its answers lose fields.

`{ node { ... on Named { name } } }` is valid whether or not `Book` is `Named`; once it is not,
books come without a name.  No rule of validation sees that, so the document is walked on both
schemas (specification, "DoesFragmentTypeApply()").  Pure.
"""

from __future__ import annotations

from typing import Any, Final

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

MAX_STEPS: Final = 100_000
"""Selections looked at in one document; one that needs more is not judged."""

Objects = frozenset[str]
_META: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


def lost(old: GraphQLSchema, new: GraphQLSchema, document: DocumentNode) -> frozenset[tuple[str, str]] | None:
    """Pairs of a condition and an object type to which it applied, where the object can still stand.

    For a document that is valid on both schemas; None if it is too large to tell.
    """
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
            pending.append((fragment.selection_set, was, is_))
    return frozenset(found)


def possible(schema: GraphQLSchema, name: str) -> Objects:
    """The object types that a type of this name stands for."""
    type_: Any = schema.type_map.get(name)
    if is_abstract_type(type_):
        return frozenset(each.name for each in schema.get_possible_types(type_))
    return _itself(type_)


def _below(schema: GraphQLSchema, objects: Objects, name: str) -> Objects:
    """The object types that can stand below a field of these."""
    if name in _META:
        return possible(schema, get_named_type(_META[name].type).name)
    fields = (getattr(schema.type_map[each], "fields", {}).get(name) for each in objects)
    types = {get_named_type(each.type).name for each in fields if each}
    return frozenset().union(*(possible(schema, each) for each in types))


def _itself(type_: Any) -> Objects:
    return frozenset({type_.name}) if isinstance(type_, GraphQLObjectType) else frozenset()
