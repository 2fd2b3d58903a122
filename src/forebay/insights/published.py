"""Schemas in SDL: building them, and walking all that a coordinate can name in one."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_ast_schema,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
    parse,
    validate_schema,
)
from graphql.validation.specified_rules import specified_sdl_rules
from graphql.validation.validate import validate_sdl

from ..core.coordinate import Kind, argument, field
from ..core.supergraph import Subgraphs, api_schema, links, subgraphs
from .mistakes import BadSchema


class Element(NamedTuple):
    """One element; `type` as SDL writes it; `deprecated` is the reason, None if it is not deprecated."""

    kind: Kind
    coordinate: str
    type: str
    deprecated: str | None = None
    arguments: tuple[Element, ...] = ()


class Published(NamedTuple):
    """One version of a graph's schema; `subgraphs` where it is a supergraph."""

    version: str
    schema: GraphQLSchema
    subgraphs: Subgraphs


@lru_cache(maxsize=16)
def build(sdl: str, which: str, strict: bool = True) -> GraphQLSchema:
    """The schema that clients see.  BadSchema with every error found, each with its line and column.

    Not `strict`, or where the text links to other specifications: directives that it does not define are let
    through, as those of federation.  Of a supergraph, what clients do not see is left out.
    """
    if not sdl.strip():
        raise BadSchema(which, ["it is empty"])
    try:
        parsed = parse(sdl)
        document, rules = api_schema(parsed), _RULES if strict and not links(parsed) else _LENIENT
        problems = [_located(error) for error in validate_sdl(document, rules=rules)]
        if not problems:
            schema = build_ast_schema(document, assume_valid_sdl=True)
            problems = [_located(error) for error in validate_schema(schema)]
    except GraphQLError as exc:
        problems = [_located(exc)]
    except (TypeError, KeyError, RecursionError) as exc:  # what an unvalidated or absurdly deep text runs into
        problems = [str(exc) or type(exc).__name__]
    if problems:
        raise BadSchema(which, problems)
    return schema


@lru_cache(maxsize=16)
def version(name: str, sdl: str) -> Published:
    """A version as the store has it; BadSchema if it can't be built."""
    return Published(name, build(sdl, "published schema", strict=False), subgraphs(parse(sdl)))


def types_of(schema: GraphQLSchema) -> Iterator[tuple[GraphQLNamedType, tuple[Element, ...]]]:
    """The schema's own types in order of name, each with its fields, input fields or enum values."""
    for name in sorted(schema.type_map):
        type_ = schema.type_map[name]
        if not (is_introspection_type(type_) or is_specified_scalar_type(type_)):
            yield type_, tuple(_elements(type_))


def kind_of(type_: GraphQLNamedType) -> str:
    """`type`, `interface`, `union`, `enum`, `input` or `scalar`: the keyword of its definition."""
    for class_, keyword in _KEYWORDS.items():
        if isinstance(type_, class_):
            return keyword
    raise TypeError(f"{type_} is no named type")


@lru_cache(maxsize=16)
def coordinates(schema: GraphQLSchema) -> frozenset[str]:
    """Every coordinate of the schema."""
    names = {f"@{directive.name}" for directive in schema.directives if not is_specified_directive(directive)}
    for type_, elements in types_of(schema):
        names.add(type_.name)
        for element in elements:
            names.add(element.coordinate)
            names.update(inner.coordinate for inner in element.arguments)
    return frozenset(names)


def deprecated(schema: GraphQLSchema) -> list[str]:
    """The coordinates of what is deprecated."""
    elements = [
        element for _, elements in types_of(schema) for outer in elements for element in (outer, *outer.arguments)
    ]
    return [element.coordinate for element in elements if element.deprecated is not None]


def nearest(schema: GraphQLSchema, coordinate: str) -> tuple[str, ...]:
    """Up to three coordinates that may have been meant, the likeliest first."""
    by_lower = {name.lower(): name for name in sorted(coordinates(schema), reverse=True)}
    wanted = coordinate.lower()[:200]
    close = get_close_matches(wanted, by_lower, n=3, cutoff=0.7)
    by_field = [lower for lower in sorted(by_lower) if lower.endswith(f".{wanted}")]
    return tuple(by_lower[lower] for lower in dict.fromkeys((*close, *by_field)))[:3]


def _elements(type_: GraphQLNamedType) -> Iterator[Element]:
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        for name, item in type_.fields.items():
            arguments = tuple(
                Element(Kind.ARGUMENT, argument(type_.name, name, inner), str(given.type), given.deprecation_reason)
                for inner, given in item.args.items()
            )
            yield Element(Kind.FIELD, field(type_.name, name), str(item.type), item.deprecation_reason, arguments)
    elif isinstance(type_, GraphQLInputObjectType):
        for name, place in type_.fields.items():
            yield Element(Kind.INPUT, field(type_.name, name), str(place.type), place.deprecation_reason)
    elif isinstance(type_, GraphQLEnumType):
        for name, value in type_.values.items():
            yield Element(Kind.ENUM_VALUE, field(type_.name, name), "", value.deprecation_reason)


def _located(error: GraphQLError) -> str:
    where = error.locations[0] if error.locations else None
    message = error.message.splitlines()[0]
    return f"{message} (line {where.line}, column {where.column})" if where else message


_RULES = specified_sdl_rules
_LENIENT = [rule for rule in specified_sdl_rules if rule.__name__ != "KnownDirectivesRule"]

_KEYWORDS: dict[type[GraphQLNamedType], str] = {
    GraphQLObjectType: "type",
    GraphQLInterfaceType: "interface",
    GraphQLUnionType: "union",
    GraphQLEnumType: "enum",
    GraphQLInputObjectType: "input",
    GraphQLScalarType: "scalar",
}
