"""What a change of one type reference means for values: going in, and coming out.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from graphql import (
    DirectiveNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_object_type,
    is_required_input_field,
    specified_directives,
)

from .remembered import remembered

# What JSON each built-in scalar takes (specification, "Input Coercion"); a long has more than 32 bits.
_TAKES = {
    "Int": frozenset({"int"}),
    "Float": frozenset({"int", "long", "float"}),
    "String": frozenset({"string"}),
    "Boolean": frozenset({"boolean"}),
    "ID": frozenset({"int", "long", "string"}),
}
BUILT_IN = _TAKES.keys()


class Hit(IntEnum):
    """Does it happen?"""

    NO = 0
    MAYBE = 1
    YES = 2


def output_keeps(old: Any, new: Any) -> bool:
    """Safe for results: the same type, or less nullable anywhere."""
    if isinstance(new, GraphQLNonNull):
        inner = old.of_type if isinstance(old, GraphQLNonNull) else old
        return output_keeps(inner, new.of_type)
    if isinstance(old, GraphQLList) and isinstance(new, GraphQLList):
        return output_keeps(old.of_type, new.of_type)
    return str(old) == str(new)


def output_fits(old: Any, new: Any) -> bool:
    """Can a client go on reading the result of a document that stays valid?

    Like `output_keeps`, but which object, interface or union stands there is left to the document.
    """
    if isinstance(new, GraphQLNonNull):
        return output_fits(old.of_type if isinstance(old, GraphQLNonNull) else old, new.of_type)
    if isinstance(old, GraphQLList) or isinstance(new, GraphQLList):
        return isinstance(old, GraphQLList) and isinstance(new, GraphQLList) and output_fits(old.of_type, new.of_type)
    if isinstance(old, GraphQLNonNull):
        return False
    return str(old) == str(new) or not (is_leaf_type(old) or is_leaf_type(new))


def input_accepts(old: Any, new: Any) -> bool:
    """Safe for places: variables of every type that was allowed stay allowed."""
    if isinstance(old, GraphQLNonNull):
        return input_accepts(old.of_type, new.of_type if isinstance(new, GraphQLNonNull) else new)
    if isinstance(old, GraphQLList) and isinstance(new, GraphQLList):
        return input_accepts(old.of_type, new.of_type)
    return str(old) == str(new)


Pairs = frozenset[tuple[str, str]]
"""Names of an old and a new type of which values are already being compared."""


def value_refused(old: Any, new: Any, within: Pairs = frozenset()) -> Hit:
    """Would a value that is not null, good for the type `old`, be refused by `new`?"""
    old, new = _nullable(old), _nullable(new)
    if isinstance(old, GraphQLList):
        if not isinstance(new, GraphQLList):
            return Hit.MAYBE if is_opaque(new) else Hit.YES
        nulls = isinstance(new.of_type, GraphQLNonNull) and not isinstance(old.of_type, GraphQLNonNull)
        # Editions of the specification differ in whether [1, 2] is a list of lists.
        deeper = isinstance(_nullable(new.of_type), GraphQLList) > isinstance(_nullable(old.of_type), GraphQLList)
        return max(value_refused(old.of_type, new.of_type, within), Hit.MAYBE if nulls or deeper else Hit.NO)
    if isinstance(new, GraphQLList):
        # One value stands for a list of one; but what a custom scalar takes can be a list, with anything in it.
        return max(value_refused(old, new.of_type, within), Hit.MAYBE if is_opaque(old) else Hit.NO)
    return named_refused(old, new, within)


def is_opaque(type_: Any) -> bool:
    """Is it a custom scalar?"""
    return isinstance(type_, GraphQLScalarType) and type_.name not in BUILT_IN


def named_refused(old: GraphQLNamedType, new: GraphQLNamedType, within: Pairs = frozenset()) -> Hit:
    """The same for named types; what changed inside a type of the same name is a change of its own."""
    if old.name == new.name or (old.name, new.name) in within:
        return Hit.NO
    if isinstance(old, GraphQLEnumType) and new.name in ("String", "ID"):
        return Hit.NO  # a variable's enum value is a JSON string; a literal is judged with its document
    if isinstance(old, GraphQLEnumType) and isinstance(new, GraphQLEnumType) and old.values.keys() <= new.values.keys():
        return Hit.NO
    if isinstance(old, GraphQLInputObjectType) and isinstance(new, GraphQLInputObjectType):
        return Hit.NO if _takes_all(old, new, within | {(old.name, new.name)}) else Hit.MAYBE
    if old.name in _TAKES and new.name in _TAKES:
        gives, takes = _TAKES[old.name], _TAKES[new.name]
        return Hit.NO if gives <= takes else Hit.MAYBE if gives & takes else Hit.YES
    if isinstance(old, GraphQLInputObjectType) and new.name in _TAKES:
        return Hit.YES
    if isinstance(new, GraphQLInputObjectType) and old.name in _TAKES:
        return Hit.YES
    if isinstance(old, GraphQLEnumType) and new.name in _TAKES:
        return Hit.YES
    return Hit.MAYBE


def shown_in_literals(old: GraphQLNamedType, new: GraphQLNamedType, nullable: bool) -> bool:
    """Does a document that stays valid show that what it gives as `old` is good for `new`?

    Not the size of a number, nor what a custom scalar takes; nor, of variables that can be `nullable`, which held null.
    """
    pending, seen = [(old, new)], set[tuple[str, str]]()
    while pending:
        old, new = pending.pop()
        if old.name == new.name or (old.name, new.name) in seen:
            continue
        seen.add((old.name, new.name))
        if is_opaque(old) or is_opaque(new) or (new.name in ("Int", "Float") and named_refused(old, new)):
            return False
        if isinstance(old, GraphQLInputObjectType) and isinstance(new, GraphQLInputObjectType):
            places = [(place.type, new.fields[name].type) for name, place in old.fields.items() if name in new.fields]
            if nullable and (is_one_of(new) or any(_refuses_more_nulls(*pair) for pair in places)):
                return False
            pending += [(get_named_type(was), get_named_type(now)) for was, now in places]
    return True


def _refuses_more_nulls(old: Any, new: Any) -> bool:
    if isinstance(new, GraphQLNonNull):
        return not isinstance(old, GraphQLNonNull) or _refuses_more_nulls(old.of_type, new.of_type)
    old, new = _nullable(old), _nullable(new)
    return isinstance(new, GraphQLList) and _refuses_more_nulls(getattr(old, "of_type", old), new.of_type)


def _takes_all(old: GraphQLInputObjectType, new: GraphQLInputObjectType, within: Pairs) -> bool:
    """Is every object that is good for `old` good for `new`?"""
    required = {name for name, place in new.fields.items() if is_required_input_field(place)}
    return (
        is_one_of(new) <= is_one_of(old)
        and old.fields.keys() <= new.fields.keys()
        and required <= {name for name, place in old.fields.items() if is_required_input_field(place)}
        and not any(
            _refuses_more_nulls(was.type, now.type) or value_refused(was.type, now.type, within)
            for was, now in ((place, new.fields[name]) for name, place in old.fields.items())
        )
    )


VALIDATES_ONE_OF = any(directive.name == "oneOf" for directive in specified_directives)
"""graphql-core 3.2.6 takes the directive for one of the schema's own."""


def is_one_of(type_: GraphQLInputObjectType) -> bool:
    """By its directive, whatever this graphql-core makes of it."""
    return any(each.name.value == "oneOf" for each in written_on(type_))


def written_on(element: Any) -> list[DirectiveNode]:
    """The directives that the schema's author put on an element, where it is defined and where extended."""
    nodes = (element.ast_node, *(getattr(element, "extension_ast_nodes", None) or ()))
    return [each for node in nodes for each in getattr(node, "directives", None) or ()]


def field_at(schema: GraphQLSchema, coordinate: str) -> Any:
    """The definition of `Type.field`, of an output or input type; None if the schema does not have it."""
    type_, _, name = coordinate.partition(".")
    return getattr(schema.type_map.get(type_), "fields", {}).get(name)


def of_interfaces(schema: GraphQLSchema, coordinate: str) -> list[str]:
    """The same field on the interfaces of its type: selected there, it is this one too."""
    type_, _, name = coordinate.partition(".")
    above = getattr(schema.type_map.get(type_), "interfaces", ())
    return [f"{each.name}.{name}" for each in above if name in each.fields]


@remembered
def around(schema: GraphQLSchema, name: str) -> frozenset[str]:
    """The abstract types that an object type belongs to: two of them may meet in it alone."""
    type_: Any = schema.type_map.get(name)
    if not is_object_type(type_):
        return frozenset()
    return frozenset(
        each.name for each in schema.type_map.values() if is_abstract_type(each) and schema.is_sub_type(each, type_)
    )


def root_name(schema: GraphQLSchema, kind: str) -> str:
    """The name of the root type for queries, mutations or subscriptions; empty if there is none."""
    return getattr(getattr(schema, f"{kind}_type", None), "name", "")


@remembered
def reachable(schema: GraphQLSchema, name: str) -> frozenset[str]:
    """The names of all types that a value of this input type can hold, itself among them."""
    found: set[str] = set()
    pending = [name]
    while pending:
        type_ = schema.type_map.get(pending.pop())
        if type_ is not None and type_.name not in found:
            found.add(type_.name)
            if isinstance(type_, GraphQLInputObjectType):
                pending += [get_named_type(place.type).name for place in type_.fields.values()]
    return frozenset(found)


def all_reachable(schemas: Iterable[GraphQLSchema], names: Iterable[str]) -> frozenset[str]:
    """What values of these input types can hold under any of the schemas."""
    wanted = list(names)
    return frozenset().union(*(reachable(schema, name) for schema in schemas for name in wanted))


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_
