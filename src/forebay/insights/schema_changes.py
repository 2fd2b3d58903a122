"""From one schema to another: every change, and how dangerous it is for operations.  Pure.

- breaking: some valid operation becomes invalid, or its result takes a form that its client cannot expect;
- dangerous: every operation stays valid, its behaviour may change;
- safe: neither.

What stands inside an added or removed type is not listed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    is_introspection_type,
    is_required_input_field,
    is_specified_scalar_type,
)

from ..core.coordinate import field
from .place_changes import BREAKING, DANGEROUS, SAFE, Change, applied, arguments, content, place, retyped
from .published import kind_of
from .type_changes import BUILT_IN, is_one_of, output_keeps

EXECUTABLE = frozenset(
    (
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
    )
)
"""Locations of directives in operations (specification, "Type System": ExecutableDirectiveLocation)."""


def changes(old: GraphQLSchema, new: GraphQLSchema) -> list[Change]:
    """Every change, ordered by coordinate within its sort."""
    return [*_roots(old, new), *_types(old, new), *_directives(old, new)]


def _roots(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    for operation in OperationType:
        before, after = old.get_root_type(operation), new.get_root_type(operation)
        if before and (not after or before.name != after.name):
            message = (
                f"{operation.value} operations start at {after.name if after else 'nothing'}, not at {before.name}"
            )
            exchanged = content(before, after) if after else ""
            yield Change("root_type_changed", before.name, BREAKING, message, operation.value, exchanged)
        if after and not before:
            message = f"{operation.value} operations are possible, and start at {after.name}"
            yield Change("root_type_added", after.name, SAFE, message, operation.value)


def _types(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    before, after = _own_types(old), _own_types(new)
    for name in sorted(before.keys() - after.keys()):
        yield Change("type_removed", name, BREAKING, f"{kind_of(before[name])} {name} was removed")
    for name in sorted(BUILT_IN & old.type_map.keys() - new.type_map.keys()):  # specification, "Built-in Scalars"
        message = f"built-in scalar {name} is no type of the schema any more, because nothing is of it"
        yield Change("type_removed", name, BREAKING, message)
    for name in sorted(after.keys() - before.keys()):
        joins = [each.name for each in getattr(after[name], "interfaces", ()) if each.name in before]
        for interface in joins:
            message = f"{name} was added and can stand wherever {interface} is returned"
            yield Change("type_added", name, DANGEROUS, message, interface)
        if not joins:
            yield Change("type_added", name, SAFE, f"{kind_of(after[name])} {name} was added")
    for name in sorted(before.keys() & after.keys()):
        yield from _type(before[name], after[name], new)


def _type(old: Any, new: Any, schema: GraphQLSchema) -> Iterator[Change]:
    if kind_of(old) != kind_of(new):
        message = f"{old.name} was of kind {kind_of(old)} and is of kind {kind_of(new)}"
        yield Change("type_kind_changed", old.name, BREAKING, message, "", content(old, new))
        return
    if isinstance(old, GraphQLObjectType | GraphQLInterfaceType):
        yield from _interfaces(old, new)
        yield from _fields(old, new)
    elif isinstance(old, GraphQLUnionType):
        yield from _members(old, new)
    elif isinstance(old, GraphQLEnumType):
        yield from _values(old, new, returned=_is_returned(schema, new))
    elif isinstance(old, GraphQLInputObjectType):
        yield from _input_fields(old, new)
    elif old.specified_by_url != new.specified_by_url:
        message = f"scalar {old.name} was specified by {old.specified_by_url} and is by {new.specified_by_url}"
        yield Change("specified_by_changed", old.name, DANGEROUS, message)
    yield from applied(old.name, old, new)


def _interfaces(old: Any, new: Any) -> Iterator[Change]:
    before, after = ({each.name for each in type_.interfaces} for type_ in (old, new))
    for name in sorted(before - after):
        yield Change("interface_removed", old.name, BREAKING, f"{old.name} no longer implements {name}", name)
    for name in sorted(after - before):
        message = f"{old.name} implements {name} and can stand wherever that is returned"
        yield Change("interface_added", old.name, DANGEROUS, message, name)


def _fields(old: Any, new: Any) -> Iterator[Change]:
    for name in sorted(old.fields.keys() - new.fields.keys()):
        yield Change("field_removed", field(old.name, name), BREAKING, f"field {field(old.name, name)} was removed")
    for name in sorted(new.fields.keys() - old.fields.keys()):
        yield Change("field_added", field(old.name, name), SAFE, f"field {field(old.name, name)} was added")
    for name in sorted(old.fields.keys() & new.fields.keys()):
        before, after, coordinate = old.fields[name], new.fields[name], field(old.name, name)
        if str(before.type) != str(after.type):
            severity = SAFE if output_keeps(before.type, after.type) else BREAKING
            yield retyped("field_type_changed", coordinate, severity, before.type, after.type)
        yield from arguments(f"{coordinate}(", "argument", before.args, after.args, owner=(old.name, name))
        yield from applied(coordinate, before, after)


def _input_fields(old: GraphQLInputObjectType, new: GraphQLInputObjectType) -> Iterator[Change]:
    was, is_ = is_one_of(old), is_one_of(new)
    if was != is_:
        kind, severity = ("one_of_added", BREAKING) if is_ else ("one_of_removed", SAFE)
        word = "takes exactly one field" if is_ else "takes any fields"
        yield Change(kind, old.name, severity, f"input {old.name} now {word}")
    for name in sorted(old.fields.keys() - new.fields.keys()):
        coordinate = field(old.name, name)
        yield Change("input_field_removed", coordinate, BREAKING, f"input field {coordinate} was removed")
    for name in sorted(new.fields.keys() - old.fields.keys()):
        required, coordinate = is_required_input_field(new.fields[name]), field(old.name, name)
        message = f"{'required' if required else 'optional'} input field {coordinate} was added"
        yield Change("input_field_added", coordinate, BREAKING if required else DANGEROUS, message)
    for name in sorted(old.fields.keys() & new.fields.keys()):
        yield from place("input_field", field(old.name, name), old.fields[name], new.fields[name])


def _members(old: GraphQLUnionType, new: GraphQLUnionType) -> Iterator[Change]:
    before, after = ({each.name for each in type_.types} for type_ in (old, new))
    for name in sorted(before - after):
        message = f"{name} is no longer a member of the union {old.name}"
        yield Change("union_member_removed", old.name, BREAKING, message, name)
    for name in sorted(after - before):
        yield Change("union_member_added", old.name, DANGEROUS, f"{name} joined the union {old.name}", name)


def _values(old: GraphQLEnumType, new: GraphQLEnumType, returned: bool) -> Iterator[Change]:
    for name in sorted(old.values.keys() - new.values.keys()):
        coordinate = field(old.name, name)
        yield Change("enum_value_removed", coordinate, BREAKING, f"enum value {coordinate} was removed")
    for name in sorted(new.values.keys() - old.values.keys()):
        message = f"enum value {field(old.name, name)} was added" + (" and may be returned" if returned else "")
        yield Change("enum_value_added", field(old.name, name), DANGEROUS if returned else SAFE, message)
    for name in sorted(old.values.keys() & new.values.keys()):
        yield from applied(field(old.name, name), old.values[name], new.values[name])


def _directives(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() - after.keys()):
        severity = BREAKING if _executable(before[name]) else SAFE
        yield Change("directive_removed", f"@{name}", severity, f"directive @{name} was removed")
    for name in sorted(after.keys() - before.keys()):
        yield Change("directive_added", f"@{name}", SAFE, f"directive @{name} was added")
    for name in sorted(before.keys() & after.keys()):
        yield from _directive(before[name], after[name])


def _directive(old: GraphQLDirective, new: GraphQLDirective) -> Iterator[Change]:
    at = f"@{old.name}"
    harmless = not _executable(old)  # only schemas can use it: nothing about it concerns an operation
    listed = list(arguments(f"{at}(", "directive_argument", old.args, new.args))
    for change in listed:
        yield Change(change.kind, change.coordinate, SAFE, change.message) if harmless else change
    for location in sorted({each.name for each in old.locations} - {each.name for each in new.locations}):
        severity = BREAKING if location in EXECUTABLE else SAFE
        yield Change("directive_location_removed", at, severity, f"{at} no longer stands on {location}", location)
    for location in sorted({each.name for each in new.locations} - {each.name for each in old.locations}):
        yield Change("directive_location_added", at, SAFE, f"{at} may stand on {location}", location)
    if old.is_repeatable and not new.is_repeatable:
        severity = SAFE if harmless else BREAKING
        yield Change("directive_repeatable_removed", at, severity, f"{at} is no longer repeatable")
    yield from applied(at, old, new)
    if new.is_repeatable and not old.is_repeatable:
        yield Change("directive_repeatable_added", at, SAFE, f"{at} is repeatable")


def _own_types(schema: GraphQLSchema) -> dict[str, GraphQLNamedType]:
    types = schema.type_map.items()
    return {name: each for name, each in types if not (is_introspection_type(each) or is_specified_scalar_type(each))}


def _by_name(schema: GraphQLSchema) -> dict[str, GraphQLDirective]:
    """Also those of the specification: a schema may define them anew, as `@skip` with one more argument."""
    return {each.name: each for each in schema.directives}


def _executable(directive: GraphQLDirective) -> bool:
    return any(location.name in EXECUTABLE for location in directive.locations)


def _is_returned(schema: GraphQLSchema, enum: GraphQLEnumType) -> bool:
    """Does any field return it?"""
    owners = (each for each in schema.type_map.values() if isinstance(each, GraphQLObjectType | GraphQLInterfaceType))
    return any(get_named_type(item.type) is enum for owner in owners for item in owner.fields.values())
