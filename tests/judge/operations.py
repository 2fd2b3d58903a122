"""Random operations on a schema, with their variables: valid for the most part."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

DEPTH = 3


class Request(NamedTuple):
    source: str
    variables: dict[str, Any]


class Writer:
    """Writes one operation; `variables` can then be asked for several times."""

    def __init__(self, schema: GraphQLSchema, rng: Random) -> None:
        self.schema = schema
        self.rng = rng
        self.declared: dict[str, tuple[Any, str]] = {}
        self.fragments: list[str] = []
        mutation = schema.mutation_type is not None and rng.random() < 0.2
        operation = OperationType.MUTATION if mutation else OperationType.QUERY
        root = schema.get_root_type(operation)
        body = self._selections(root, DEPTH)
        on_operation = self._directive(operation.value.upper())
        head = f"{operation.value} Q{self._declarations()}{on_operation}"
        self.source = f"{head} {body} {' '.join(self.fragments)}"

    def variables(self) -> dict[str, Any]:
        """Values for the variables: absent, null, or of their type."""
        values = {}
        for name, (type_, default) in self.declared.items():
            optional = bool(default) or not isinstance(type_, GraphQLNonNull)
            if not (optional and self.rng.random() < 0.3):
                values[name] = self._value(type_, 3)
        return values

    def _declarations(self) -> str:
        if not self.declared:
            return ""
        texts = []
        for name, (type_, default) in list(self.declared.items()):
            on_variable = self._directive("VARIABLE_DEFINITION", constant=True)
            texts.append(f"${name}: {type_}{default}{on_variable}")
        return f"({', '.join(texts)})"

    def _selections(self, type_: Any, depth: int) -> str:
        chosen = [self._selection(type_, depth) for _ in range(self.rng.randint(1, 3))]
        return f"{{ {' '.join(chosen)} }}"

    def _selection(self, type_: Any, depth: int) -> str:
        if self.rng.random() < (0.6 if is_abstract_type(type_) else 0.15) and depth > 0:
            condition = self.rng.choice(self._conditions(type_))
            body = self._selections(condition or type_, depth - 1)
            if condition is not None and self.rng.random() < 0.3:
                name = f"F{len(self.fragments)}"
                on_definition = self._directive("FRAGMENT_DEFINITION")
                self.fragments.append(f"fragment {name} on {condition}{on_definition} {body}")
                return f"...{name}{self._directive('FRAGMENT_SPREAD')}"
            return f"...{f' on {condition}' if condition else ''}{self._directive('INLINE_FRAGMENT')} {body}"
        fields = {
            name: each
            for name, each in getattr(type_, "fields", {}).items()
            if depth > 0 or is_leaf_type(get_named_type(each.type))
        }
        if not fields or self.rng.random() < 0.05:
            return "__typename"
        name = self.rng.choice([*fields])
        each = fields[name]
        given = self._given(each.args)
        alias = f"k{self.rng.randrange(10**6)}: " if given or self.rng.random() < 0.5 else ""
        inner = get_named_type(each.type)
        body = "" if is_leaf_type(inner) else f" {self._selections(inner, depth - 1)}"
        return f"{alias}{name}{given}{self._directive('FIELD')}{body}"

    def _conditions(self, type_: Any) -> list[Any]:
        possible = set(self.schema.get_possible_types(type_)) if is_abstract_type(type_) else {type_}
        found: list[Any] = [None]
        for each in self.schema.type_map.values():
            if is_abstract_type(each) and set(self.schema.get_possible_types(each)) & possible:
                found.append(each)
        return [*found, *sorted(possible, key=str)]  # not in the order of a set, which no seed decides

    def _given(self, args: dict[str, Any]) -> str:
        texts = [
            f"{name}: {self._literal(place.type, 2, place)}"
            for name, place in args.items()
            if is_required_argument(place) or self.rng.random() < 0.5
        ]
        return f"({', '.join(texts)})" if texts else ""

    def _directive(self, location: str, constant: bool = False) -> str:
        if location.startswith(("FIELD", "FRAGMENT_S", "INLINE")) and self.rng.random() < 0.1:
            return self.rng.choice([" @include(if: true)", " @skip(if: false)", " @skip(if: true)"])
        if self.rng.random() > 0.2:
            return ""
        fitting = [
            each
            for each in self.schema.directives
            if each.name in ("mark", "tag") and location in {place.name for place in each.locations}
        ]
        if not fitting:
            return ""
        directive = self.rng.choice(fitting)
        times = 2 if directive.is_repeatable and self.rng.random() < 0.5 else 1
        texts = []
        for _ in range(times):
            given = [
                f"{name}: {self._literal(place.type, 2, place, constant)}"
                for name, place in directive.args.items()
                if is_required_argument(place) or self.rng.random() < 0.5
            ]
            texts.append(f" @{directive.name}" + (f"({', '.join(given)})" if given else ""))
        return "".join(texts)

    def _literal(self, type_: Any, depth: int, place: Any = None, constant: bool = False) -> str:
        if not constant and self.rng.random() < 0.4:
            return self._variable(type_, depth, place)
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        elif self.rng.random() < 0.12:
            return "null"
        if isinstance(type_, GraphQLList):
            if self.rng.random() < 0.2:
                return self._literal(GraphQLNonNull(_nullable(type_.of_type)), depth, None, True)
            items = [self._literal(type_.of_type, depth, None, constant) for _ in range(self.rng.randint(0, 2))]
            return f"[{', '.join(items)}]"
        if isinstance(type_, GraphQLEnumType):
            return str(self.rng.choice([*type_.values]))
        if isinstance(type_, GraphQLInputObjectType):
            picked = self._picked(type_, depth)
            return (
                "{"
                + ", ".join(f"{n}: {self._literal(t, depth - 1, type_.fields[n], constant)}" for n, t in picked)
                + "}"
            )
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
        name = f"v{len(self.declared)}"
        self.declared[name] = (type_, "")  # taken, whatever else is declared meanwhile
        has_default = place is not None and getattr(place, "default_value", None) is not None
        if isinstance(type_, GraphQLNonNull):
            if self.rng.random() < 0.25 and _required_away(place):
                type_ = type_.of_type
        elif self.rng.random() < 0.25:
            type_ = GraphQLNonNull(type_)
        default = ""
        if self.rng.random() < 0.3 or (has_default and self.rng.random() < 0.1):
            default = f" = {self._literal(type_, depth, None, constant=True)}"
        self.declared[name] = (type_, default)
        return f"${name}"

    def _picked(self, type_: GraphQLInputObjectType, depth: int) -> list[tuple[str, Any]]:
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


def _required_away(place: Any) -> bool:
    """Is there a default, so that a nullable variable may stand at a place of non-null type?"""
    node = place.ast_node if place is not None else None
    return bool(node and node.default_value)
