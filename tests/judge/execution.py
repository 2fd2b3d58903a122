"""A request executed by graphql-core, before and after a change: does it still work, in the same shape?

The data follow the types: every leaf is a value of its type, every list has two elements, and a
nullable place is null where a hash of its path says so, as is every second element.  Behind an
abstract type stands the same object type before and after, wherever it still can; where it can't,
nothing is compared, as another one could stand there before.
"""

from __future__ import annotations

import zlib
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    is_abstract_type,
    validate,
    visit,
)
from graphql.execution.values import get_argument_values, get_variable_values

from .delivery import answered
from .operations import META, Request, parsed

LEAVES: dict[str, Any] = {"Int": 1, "Float": 1.5, "String": "s", "Boolean": True, "ID": "1"}
DATA_SETS = 3
"""Ways in which nulls and object types are chosen; the first has no nulls."""


class Broken(Exception):
    """The request does not work, and why."""


class Nobody(Exception):
    """No object type can stand there: no server could answer."""


Path = tuple[str | int, ...]


class Service:
    """Executes requests on one schema; `before` is the service whose choices of object types it follows."""

    def __init__(self, schema: GraphQLSchema, number: int, before: Service | None = None) -> None:
        self.schema = schema
        self.number = number
        self.chosen: dict[Path, str] = {}
        self.free: set[Path] = set()
        self.elsewhere: set[Path] = set()
        self._before = before

    def execute(self, request: Request) -> Any:
        """The data of the answer to a valid request; Broken if there are errors."""
        result = answered(
            self.schema,
            parsed(request.source, request.operation_name),
            variable_values=request.variables,
            field_resolver=self._resolve,
            type_resolver=lambda value, info, abstract: str(value["type"]),
        )
        if result.errors:
            if isinstance(result.errors[0].original_error, Nobody):
                raise Nobody
            raise Broken(result.errors[0].message)
        return result.data

    def _resolve(self, source: Any, info: Any, **_: Any) -> Any:
        return self._value(info.return_type, tuple(info.path.as_list()))

    def _value(self, type_: Any, path: Path) -> Any:
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        elif self.number and (path[-1] == 1 or zlib.crc32(f"{path}{self.number}".encode()) % 3 == 0):
            return None
        if isinstance(type_, GraphQLList):
            return [self._value(type_.of_type, (*path, number)) for number in range(2)]
        if isinstance(type_, GraphQLEnumType):
            return next(iter(type_.values))
        if isinstance(type_, GraphQLScalarType):
            return LEAVES.get(type_.name, {"opaque": type_.name})
        return {"type": self._object(type_, path)}

    def _object(self, type_: Any, path: Path) -> str:
        possible = [type_.name]
        if is_abstract_type(type_):
            possible = sorted(each.name for each in self.schema.get_possible_types(type_))
            self.free.add(path)
        before = self._before.chosen.get(path) if self._before else None
        if self._before and before not in possible and path in self._before.free:
            self.elsewhere.add(path)
        if before in possible:
            self.chosen[path] = str(before)
        elif possible:
            self.chosen[path] = possible[zlib.crc32(f"{path}{self.number}?".encode()) % len(possible)]
        else:
            raise Nobody
        return self.chosen[path]


def executed(schema: GraphQLSchema, request: Request) -> list[tuple[Service, Any]]:
    """The request on each set of data; Broken if it does not work on one."""
    _admit(schema, request)
    services = [Service(schema, number) for number in range(DATA_SETS)]
    return [(service, service.execute(request)) for service in services]


def broken(before: list[tuple[Service, Any]], new: GraphQLSchema, request: Request) -> str:
    """Why a request that worked does not work on the new schema, or answers in another shape; empty if it does."""
    try:
        _admit(new, request)
        for old, was in before:
            service = Service(new, old.number, old)
            try:
                now = service.execute(request)
            except Nobody:
                continue
            if why := _differs(was, now, (), service.elsewhere):
                return why
    except Broken as exc:
        return str(exc)
    return ""


def _differs(was: Any, now: Any, path: Path, elsewhere: set[Path]) -> str:
    at = ".".join(map(str, path))
    if path in elsewhere or was is None:
        return ""
    if now is None:
        return f"{at} can be null"
    if isinstance(was, dict) and "opaque" not in was:
        if not isinstance(now, dict) or "opaque" in now:
            return f"{at} is no object any more"
        for key, value in was.items():
            if key not in now:
                return f"{at}.{key} is missing"
            if not key.startswith(("__", META)) and (why := _differs(value, now[key], (*path, key), elsewhere)):
                return why
        return ""
    if isinstance(was, list):
        if not isinstance(now, list):
            return f"{at} is no list any more"
        pairs = enumerate(zip(was, now, strict=True))
        return next((why for n, pair in pairs if (why := _differs(*pair, (*path, n), elsewhere))), "")
    if isinstance(was, dict) and was != now:
        return f"{at} is of another scalar"
    return "" if type(was) is type(now) else f"{at} was {type(was).__name__} and is {type(now).__name__}"


def _admit(schema: GraphQLSchema, request: Request) -> None:
    """Validation, and the coercion of all arguments: also of directives, which graphql-core leaves to those who
    implement them, and of what stands below a skipped selection, as variables decide about that.
    """
    document = parsed(request.source, request.operation_name)
    if errors := validate(schema, document, max_errors=1):
        raise Broken(errors[0].message)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    values: Any = get_variable_values(schema, operation.variable_definitions or (), dict(request.variables))
    if isinstance(values, list):
        raise Broken(values[0].message)
    info = TypeInfo(schema)
    wrong: list[str] = []

    class Arguments(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            if definition := info.get_field_def():
                self._coerce(definition, node)

        def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
            if directive := schema.get_directive(node.name.value):
                self._coerce(directive, node)

        def _coerce(self, definition: Any, node: Any) -> None:
            try:
                get_argument_values(definition, node, values)
            except GraphQLError as exc:
                wrong.append(exc.message)

    visit(document, TypeInfoVisitor(info, Arguments()))
    if wrong:
        raise Broken(wrong[0])
