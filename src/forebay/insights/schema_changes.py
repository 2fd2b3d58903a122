"""From one schema to another: every change, and how dangerous it is for operations.  Pure.

- breaking: some valid operation becomes invalid, or its result takes a form that its client cannot expect;
- dangerous: every operation stays valid, its behaviour may change;
- safe: neither.

What stands inside an added or removed type is not listed by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import (
    DirectiveNode,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    is_introspection_type,
    is_required_argument,
    is_required_input_field,
    is_specified_directive,
    is_specified_scalar_type,
    print_ast,
)

from ..core.coordinate import argument, field
from .published import kind_of
from .type_changes import input_accepts, output_keeps


class Severity(StrEnum):
    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


BREAKING, DANGEROUS, SAFE = Severity

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


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `detail` names the member, interface, location or directive that it is about."""

    kind: str
    coordinate: str
    severity: Severity
    message: str
    detail: str = ""


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
            yield Change("root_type_changed", before.name, BREAKING, message, operation.value)


def _types(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    before, after = _own_types(old), _own_types(new)
    for name in sorted(before.keys() - after.keys()):
        yield Change("type_removed", name, BREAKING, f"{kind_of(before[name])} {name} was removed")
    for name in sorted(after.keys() - before.keys()):
        joins = [each.name for each in getattr(after[name], "interfaces", ()) if each.name in before]
        if joins:
            message = f"{name} was added and can stand wherever {' or '.join(joins)} is returned"
            yield Change("type_added", name, DANGEROUS, message, joins[0])
        else:
            yield Change("type_added", name, SAFE, f"{kind_of(after[name])} {name} was added")
    for name in sorted(before.keys() & after.keys()):
        yield from _type(before[name], after[name], new)


def _type(old: Any, new: Any, schema: GraphQLSchema) -> Iterator[Change]:
    if kind_of(old) != kind_of(new):
        message = f"{old.name} was of kind {kind_of(old)} and is of kind {kind_of(new)}"
        yield Change("type_kind_changed", old.name, BREAKING, message)
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
    yield from _applied(old.name, old, new)


def _interfaces(old: Any, new: Any) -> Iterator[Change]:
    before, after = ({each.name for each in type_.interfaces} for type_ in (old, new))
    for name in sorted(before - after):
        yield Change("interface_removed", old.name, BREAKING, f"{old.name} no longer implements {name}", name)
    for name in sorted(after - before):
        message = f"{old.name} implements {name} and can stand wherever that is returned"
        yield Change("interface_added", old.name, DANGEROUS, message, name)


def _fields(old: Any, new: Any) -> Iterator[Change]:
    for name in old.fields.keys() - new.fields.keys():
        yield Change("field_removed", field(old.name, name), BREAKING, f"field {field(old.name, name)} was removed")
    for name in new.fields.keys() - old.fields.keys():
        yield Change("field_added", field(old.name, name), SAFE, f"field {field(old.name, name)} was added")
    for name in old.fields.keys() & new.fields.keys():
        before, after, coordinate = old.fields[name], new.fields[name], field(old.name, name)
        if str(before.type) != str(after.type):
            severity = SAFE if output_keeps(before.type, after.type) else BREAKING
            yield Change("field_type_changed", coordinate, severity, _was(coordinate, before.type, after.type))
        yield from _arguments(f"{coordinate}(", "argument", before.args, after.args, owner=(old.name, name))
        yield from _applied(coordinate, before, after)


def _arguments(
    prefix: str,
    kind: str,
    old: dict[str, GraphQLArgument],
    new: dict[str, GraphQLArgument],
    owner: tuple[str, str] | None = None,
) -> Iterator[Change]:
    def coordinate(name: str) -> str:
        return argument(*owner, name) if owner else f"{prefix}{name}:)"

    for name in old.keys() - new.keys():
        yield Change(f"{kind}_removed", coordinate(name), BREAKING, f"argument {coordinate(name)} was removed")
    for name in new.keys() - old.keys():
        # A directive is read by whoever wrote the operation; a field's new argument may change what it returns.
        optional = DANGEROUS if owner else SAFE
        severity = BREAKING if is_required_argument(new[name]) else optional
        what = "required" if severity is BREAKING else "optional"
        yield Change(f"{kind}_added", coordinate(name), severity, f"{what} argument {coordinate(name)} was added")
    for name in old.keys() & new.keys():
        yield from _place(kind, coordinate(name), old[name], new[name])


def _input_fields(old: GraphQLInputObjectType, new: GraphQLInputObjectType) -> Iterator[Change]:
    was, is_ = (getattr(type_, "is_one_of", False) for type_ in (old, new))  # graphql-core 3.2 has no @oneOf
    if was != is_:
        kind, severity = ("one_of_added", BREAKING) if is_ else ("one_of_removed", SAFE)
        word = "takes exactly one field" if is_ else "takes any fields"
        yield Change(kind, old.name, severity, f"input {old.name} now {word}")
    for name in old.fields.keys() - new.fields.keys():
        coordinate = field(old.name, name)
        yield Change("input_field_removed", coordinate, BREAKING, f"input field {coordinate} was removed")
    for name in new.fields.keys() - old.fields.keys():
        required, coordinate = is_required_input_field(new.fields[name]), field(old.name, name)
        message = f"{'required' if required else 'optional'} input field {coordinate} was added"
        yield Change("input_field_added", coordinate, BREAKING if required else DANGEROUS, message)
    for name in old.fields.keys() & new.fields.keys():
        yield from _place("input_field", field(old.name, name), old.fields[name], new.fields[name])


def _place(
    kind: str, coordinate: str, old: GraphQLArgument | GraphQLInputField, new: GraphQLArgument | GraphQLInputField
) -> Iterator[Change]:
    """Type and default of an argument or input field.  A default taken from a non-null place makes it required."""
    if str(old.type) != str(new.type):
        severity = SAFE if input_accepts(old.type, new.type) else BREAKING
        yield Change(f"{kind}_type_changed", coordinate, severity, _was(coordinate, old.type, new.type))
    before, after = default(old), default(new)
    if before != after:
        required = after is None and isinstance(new.type, GraphQLNonNull)
        message = f"the default of {coordinate} was {before or 'none'} and is {after or 'none'}"
        severity = BREAKING if required else DANGEROUS
        yield Change(f"{kind}_default_changed", coordinate, severity, message)
    yield from _applied(coordinate, old, new)


def _members(old: GraphQLUnionType, new: GraphQLUnionType) -> Iterator[Change]:
    before, after = ({each.name for each in type_.types} for type_ in (old, new))
    for name in sorted(before - after):
        message = f"{name} is no longer a member of the union {old.name}"
        yield Change("union_member_removed", old.name, BREAKING, message, name)
    for name in sorted(after - before):
        yield Change("union_member_added", old.name, DANGEROUS, f"{name} joined the union {old.name}", name)


def _values(old: GraphQLEnumType, new: GraphQLEnumType, returned: bool) -> Iterator[Change]:
    for name in old.values.keys() - new.values.keys():
        coordinate = field(old.name, name)
        yield Change("enum_value_removed", coordinate, BREAKING, f"enum value {coordinate} was removed")
    for name in new.values.keys() - old.values.keys():
        message = f"enum value {field(old.name, name)} was added" + (" and may be returned" if returned else "")
        yield Change("enum_value_added", field(old.name, name), DANGEROUS if returned else SAFE, message)
    for name in old.values.keys() & new.values.keys():
        yield from _applied(field(old.name, name), old.values[name], new.values[name])


def _directives(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    before, after = _own_directives(old), _own_directives(new)
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
    listed = list(_arguments(f"{at}(", "directive_argument", old.args, new.args))
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
    if new.is_repeatable and not old.is_repeatable:
        yield Change("directive_repeatable_added", at, SAFE, f"{at} is repeatable")


def _applied(coordinate: str, old: Any, new: Any) -> Iterator[Change]:
    """Deprecation, and the directives that stand on an element: operations do not see these."""
    before, after = getattr(old, "deprecation_reason", None), getattr(new, "deprecation_reason", None)
    if before != after:
        word = "is no longer deprecated" if after is None else f"is deprecated: {after}"
        yield Change("deprecation_changed", coordinate, SAFE, f"{coordinate} {word}")
    gone, come = _uses(old), _uses(new)
    for text in sorted(gone.keys() - come.keys()):
        yield Change("directive_usage_removed", coordinate, SAFE, f"{coordinate} lost {text}", gone[text])
    for text in sorted(come.keys() - gone.keys()):
        yield Change("directive_usage_added", coordinate, SAFE, f"{coordinate} got {text}", come[text])


def _uses(element: Any) -> dict[str, str]:
    """As written → name, of the directives that the schema's author put on an element."""
    nodes = [element.ast_node, *(getattr(element, "extension_ast_nodes", None) or ())]
    directives: Iterable[DirectiveNode] = (each for node in nodes if node for each in node.directives or ())
    return {
        print_ast(each): f"@{each.name.value}"
        for each in directives
        if each.name.value not in ("deprecated", "oneOf", "specifiedBy")
    }


def default(place: GraphQLArgument | GraphQLInputField) -> str | None:
    """The default as SDL writes it; None if there is none.  Every schema here was built from SDL."""
    node = place.ast_node.default_value if place.ast_node else None
    return print_ast(node) if node else None


def _was(coordinate: str, old: object, new: object) -> str:
    return f"{coordinate} was of type {old} and is of type {new}"


def _own_types(schema: GraphQLSchema) -> dict[str, GraphQLNamedType]:
    types = schema.type_map.items()
    return {name: each for name, each in types if not (is_introspection_type(each) or is_specified_scalar_type(each))}


def _own_directives(schema: GraphQLSchema) -> dict[str, GraphQLDirective]:
    return {each.name: each for each in schema.directives if not is_specified_directive(each)}


def _executable(directive: GraphQLDirective) -> bool:
    return any(location.name in EXECUTABLE for location in directive.locations)


def _is_returned(schema: GraphQLSchema, enum: GraphQLEnumType) -> bool:
    """Does any field return it?"""
    owners = (each for each in schema.type_map.values() if isinstance(each, GraphQLObjectType | GraphQLInterfaceType))
    return any(get_named_type(item.type) is enum for owner in owners for item in owner.fields.values())
