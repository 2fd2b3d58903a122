"""Random literals and variables of input types: valid for the most part."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
    specified_scalar_types,
)


class Inputs:
    """Writes literals, in which variables can stand; `declared` are those variables, by name: type and default."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.declared: dict[str, tuple[Any, str]] = {}

    def values(self) -> dict[str, Any]:
        """Values for the variables: absent, null, or of their type; seldom one that nobody declares."""
        values: dict[str, Any] = {"undeclared": {"a": 1}} if self.rng.random() < 0.05 else {}
        for name, (type_, default) in self.declared.items():
            optional = bool(default) or not isinstance(type_, GraphQLNonNull)
            if not (optional and self.rng.random() < 0.3):
                values[name] = self._value(type_, 3)
        return values

    def literal(self, type_: Any, depth: int, place: Any = None, constant: bool = False) -> str:
        """For a place of this type; `constant` where no variable may stand."""
        if not constant and self.rng.random() < 0.4:
            return self._variable(type_, depth, place)
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        elif self.rng.random() < 0.12:
            return "null"
        if isinstance(type_, GraphQLList):
            if self.rng.random() < 0.2:
                return self.literal(GraphQLNonNull(_nullable(type_.of_type)), depth, None, True)
            items = [self.literal(type_.of_type, depth, None, constant) for _ in range(self.rng.randint(0, 2))]
            return f"[{', '.join(items)}]"
        if isinstance(type_, GraphQLEnumType):
            return str(self.rng.choice([*type_.values]))
        if isinstance(type_, GraphQLInputObjectType):
            picked = self._picked(type_, depth)
            given = [f"{n}: {self.literal(t, depth - 1, type_.fields[n], constant)}" for n, t in picked]
            return "{" + ", ".join(given) + "}"
        if type_.name not in specified_scalar_types and not constant and self.rng.random() < 0.5:
            inside = specified_scalar_types[self.rng.choice(["Boolean", "Float", "ID", "Int", "String"])]
            return f"{{k: {self._variable(inside, depth, None)}}}"
        number, letter = self.rng.randint(0, 99), self.rng.choice("pq")
        literals = {
            "Int": [str(number), "-7"],
            "Float": [f"{number}.5", str(number), "3000000000"],
            "Boolean": ["true", "false"],
            "ID": [f'"{letter}"', str(number)],
            "String": [f'"{letter}"', f'"""{letter}"""'],
        }
        return str(self.rng.choice(literals.get(type_.name, ["5", '"s"', "{k: 1}", "[1, 2]", "true"])))

    def _variable(self, type_: Any, depth: int, place: Any) -> str:
        """A new one, or one that stands elsewhere already."""
        fitting = [name for name, (known, _) in self.declared.items() if str(known) in (str(type_), f"{type_}!")]
        if fitting and self.rng.random() < 0.4:
            return f"${self.rng.choice(fitting)}"
        name = f"v{len(self.declared)}"
        self.declared[name] = (type_, "")  # whatever else is declared meanwhile
        place_default = place is not None and getattr(place, "default_value", None) is not None
        wanted, nullable = type_, isinstance(type_, GraphQLNonNull)
        if not nullable and self.rng.random() < 0.25:
            type_ = GraphQLNonNull(type_)
        elif nullable and self.rng.random() < 0.3:  # a nullable one needs a default, of its own or of the place
            type_ = type_.of_type
            if not _has_default(place):
                self.declared[name] = (type_, f" = {self.literal(wanted, depth, None, constant=True)}")
                return f"${name}"
        default = ""
        # In a list none has a place: null can override its default there.
        if self.rng.random() < (0.3 if place else 0.5) or (place_default and self.rng.random() < 0.1):
            default = f" = {self.literal(type_, depth, None, constant=True)}"
        self.declared[name] = (type_, default)
        return f"${name}"

    def _picked(self, type_: GraphQLInputObjectType, depth: int) -> Iterable[tuple[str, Any]]:
        """Fields to give, each with the type that a value for it must have."""
        if type_.is_one_of:
            name = self.rng.choice([*type_.fields])
            return [(name, GraphQLNonNull(_nullable(type_.fields[name].type)))]
        return [
            (name, place.type)
            for name, place in type_.fields.items()
            if is_required_input_field(place) or (depth > 0 and self.rng.random() < 0.4)
        ]

    def _value(self, type_: Any, depth: int) -> Any:
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        elif self.rng.random() < 0.15:
            return None
        if isinstance(type_, GraphQLList):
            if self.rng.random() < 0.2:
                return self._value(GraphQLNonNull(_nullable(type_.of_type)), depth)
            return [self._value(type_.of_type, depth) for _ in range(self.rng.randint(0, 2))]
        if isinstance(type_, GraphQLEnumType):
            return self.rng.choice([*type_.values])
        if isinstance(type_, GraphQLInputObjectType):
            return {name: self._value(inner, depth - 1) for name, inner in self._picked(type_, depth)}
        values: dict[str, list[Any]] = {
            "Int": [1, -5],
            "Float": [1.5, 2, 3000000000],
            "Boolean": [True, False],
            "ID": ["p", 7],
            "String": ["p", ""],
        }
        return self.rng.choice(values.get(type_.name, [5, "s", {"k": 1}, [1, None], True]))


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _has_default(place: Any) -> bool:
    """So that a nullable variable may stand at a place of non-null type."""
    node = place.ast_node if place is not None else None
    return bool(node and node.default_value)
