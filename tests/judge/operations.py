"""Random operations on a schema, with their variables: valid for the most part.

A document has one operation, or two that share fragments; queries, mutations and subscriptions,
with parts that are deferred and streamed where the schema has directives for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    GraphQLDirective,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationType,
    TypeMetaFieldDef,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    parse,
    separate_operations,
    specified_scalar_types,
)

from .inputs import Inputs

DEPTH = 3
META = "meta"
"""How response names of introspection begin: what it answers follows the schema, and nobody compares that."""

_BOOLEAN = GraphQLNonNull(specified_scalar_types["Boolean"])


class Request(NamedTuple):
    source: str
    variables: dict[str, Any]
    operation_name: str | None = None


@lru_cache(maxsize=256)
def parsed(source: str, operation_name: str | None) -> DocumentNode:
    """The operation that runs, with its fragments."""
    operations = separate_operations(parse(source, no_location=True))
    return operations[operation_name] if operation_name else next(iter(operations.values()))


class Fragment(NamedTuple):
    condition: Any
    text: str


class Writer:
    """Writes one document; `variables` can then be asked for several times."""

    def __init__(self, schema: GraphQLSchema, rng: Random) -> None:
        self.schema = schema
        self.rng = rng
        self.variables = (inputs := Inputs(rng)).values
        self._inputs = inputs
        self._fragments: dict[str, Fragment] = {}
        self._directives = {each.name: each for each in schema.directives}
        self._labels = 0
        others = [each for each in (OperationType.MUTATION, OperationType.SUBSCRIPTION) if schema.get_root_type(each)]
        self._type = rng.choice(others) if others and rng.random() < 0.3 else OperationType.QUERY
        heads = [self._operation()]
        self.operation_name = "Q0" if rng.random() < 0.5 else None
        if rng.random() < 0.15:
            self._type = OperationType.QUERY
            heads.append(self._operation())
            self.operation_name = rng.choice(["Q0", "Q1"])
        operations = [self._declared(head, f"Q{number}") for number, head in enumerate(heads)]
        self.source = " ".join([*operations, *(each.text for each in self._fragments.values())])

    def _operation(self) -> tuple[str, str]:
        """What stands before its name, and what behind its variables."""
        subscription = self._type is OperationType.SUBSCRIPTION
        root = self.schema.get_root_type(self._type)
        body = self._selections(root, DEPTH, most=1 if subscription else 3)
        return self._type.value, f"{self._directive(self._type.value.upper())} {body}"

    def _declared(self, head: tuple[str, str], name: str) -> str:
        """The operation with those variables that it or its fragments use."""
        text, reached = head[1], set[str]()
        while spread := {*re.findall(r"\.\.\.(F\d+)", text)} - reached:
            reached |= spread
            text += "".join(self._fragments[each].text for each in sorted(spread))
        used = {*re.findall(r"\$(\w+)", text)}
        texts = [
            f"${each}: {type_}{default}{self._directive('VARIABLE_DEFINITION', constant=True)}"
            for each, (type_, default) in [*self._inputs.declared.items()]
            if each in used
        ]
        variables = f"({', '.join(texts)})" if texts else ""
        return f"{head[0]} {name}{variables}{head[1]}"

    def _selections(self, type_: Any, depth: int, most: int = 3) -> str:
        chosen = [self._selection(type_, depth) for _ in range(self.rng.randint(1, most))]
        return f"{{ {' '.join(chosen)} }}"

    def _selection(self, type_: Any, depth: int) -> str:
        if self.rng.random() < (0.6 if is_abstract_type(type_) else 0.15) and depth > 0:
            return self._fragment(type_, depth)
        fields = {
            name: each
            for name, each in getattr(type_, "fields", {}).items()
            if depth > 0 or is_leaf_type(get_named_type(each.type))
        }
        if not fields or self.rng.random() < 0.05:
            return f"{self._alias(0.3)}__typename{self._directive('FIELD')}"
        if type_ is self.schema.query_type and self.rng.random() < 0.04:
            return self._introspection()
        name = self.rng.choice([*fields])
        each = fields[name]
        given = self._given(each.args)
        alias = self._alias(0.95 if given else 0.5)
        inner = get_named_type(each.type)
        body = "" if is_leaf_type(inner) else f" {self._selections(inner, depth - 1)}"
        stream = self._incremental("stream", "FIELD") if isinstance(get_nullable_type(each.type), GraphQLList) else ""
        return f"{alias}{name}{given}{self._directive('FIELD')}{stream}{body}"

    def _alias(self, share: float) -> str:
        """Seldom one that other fields are likely to have as well, which have to merge then."""
        if self.rng.random() > share:
            return ""
        return f"k{self.rng.randrange(2 if self.rng.random() < 0.1 else 10**6)}: "

    def _fragment(self, type_: Any, depth: int) -> str:
        condition = self.rng.choice(self._conditions(type_))
        known = [name for name, each in self._fragments.items() if each.condition is condition]
        if known and self.rng.random() < 0.3:
            return f"...{self.rng.choice(known)}{self._directive('FRAGMENT_SPREAD')}"
        body = self._selections(condition or type_, depth - 1)
        if condition is not None and self.rng.random() < 0.3:
            name = f"F{len(self._fragments)}"
            on_definition = self._directive("FRAGMENT_DEFINITION")
            self._fragments[name] = Fragment(condition, f"fragment {name} on {condition}{on_definition} {body}")
            defer = self._incremental("defer", "FRAGMENT_SPREAD")
            return f"...{name}{self._directive('FRAGMENT_SPREAD')}{defer}"
        defer = self._incremental("defer", "INLINE_FRAGMENT")
        return f"...{f' on {condition}' if condition else ''}{self._directive('INLINE_FRAGMENT')}{defer} {body}"

    def _conditions(self, type_: Any) -> list[Any]:
        possible = set(self.schema.get_possible_types(type_)) if is_abstract_type(type_) else {type_}
        found: list[Any] = [None]
        for each in self.schema.type_map.values():
            if is_abstract_type(each) and set(self.schema.get_possible_types(each)) & possible:
                found.append(each)
        return [*found, *sorted(possible, key=str)]  # not in the order of a set, which no seed decides

    def _introspection(self) -> str:
        name = self._inputs.literal(TypeMetaFieldDef.args["name"].type, 0)
        body = "{ __typename fields(includeDeprecated: true) { name } }"
        field = self.rng.choice([f"__type(name: {name}) {body}", f"__schema {{ types {body} }}"])
        return f"{META}{self.rng.randrange(10**6)}: {field}"

    def _given(self, args: dict[str, Any], constant: bool = False) -> str:
        texts = [
            f"{name}: {self._inputs.literal(place.type, 2, place, constant)}"
            for name, place in args.items()
            if is_required_argument(place) or self.rng.random() < 0.5
        ]
        return f"({', '.join(texts)})" if texts else ""

    def _directive(self, location: str, constant: bool = False) -> str:
        if location.startswith(("FIELD", "FRAGMENT_S", "INLINE")) and self.rng.random() < 0.1:
            name = self.rng.choice(["include", "skip", "skip"])
            return f" @{name}(if: {self._inputs.literal(_BOOLEAN, 0, None, constant)})"
        fitting = [self._directives[name] for name in ("mark", "tag") if self._allows(name, location)]
        if not fitting or self.rng.random() > 0.2:
            return ""
        directive = self.rng.choice(fitting)
        times = 2 if directive.is_repeatable and self.rng.random() < 0.5 else 1
        return "".join(f" @{directive.name}{self._given(directive.args, constant)}" for _ in range(times))

    def _incremental(self, name: str, location: str) -> str:
        """A subscription may only have it switched off."""
        if not self._allows(name, location) or self.rng.random() > 0.3:
            return ""
        self._labels += 1
        given = [f'label: "p{self._labels}"'] if self.rng.random() < 0.5 else []
        if self._type is OperationType.SUBSCRIPTION:
            given.append("if: false")
        elif self.rng.random() < 0.4:
            given.append(f"if: {self._inputs.literal(_BOOLEAN, 0, self._directives[name].args['if'])}")
        if name == "stream" and self.rng.random() < 0.5:
            given.append(f"initialCount: {self.rng.randint(0, 2)}")
        return f" @{name}" + (f"({', '.join(given)})" if given else "")

    def _allows(self, name: str, location: str) -> bool:
        directive: GraphQLDirective | None = self._directives.get(name)
        return directive is not None and location in {place.name for place in directive.locations}
