"""What one item of a Cosmo report says: which operation, by whom, and what of the schema it uses.

Where the router is silent or can't tell, this says so instead of guessing:

- **States are uncertain.**  The router adds up requests that differ in IsNull only, so an item
  says which state came first and no more; hence no STATES coverage, and UNCERTAIN on every state.
  Except: an argument that the document does not give is absent, whatever the variables hold.
- **The document** is the router's normalised one: inline values are variables, defaults of
  variables and selections skipped by a literal are gone.  A value that became a variable of the
  position's own type can only break earlier than the original did, so it keeps DOCUMENT coverage.
- **Object literals and enum values in the document** (older routers, directives) are not among the
  metrics: INPUTS or ENUM_VALUES coverage is withdrawn from such a shape.
- **A failed request without any metrics** was refused before it was planned (syntax, validation,
  variables): invalid, and uses nothing.  **A success without field metrics** tells nothing, since
  even `{ __typename }` is reported as a field: its shape has no coverage but its document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    NonNullTypeNode,
    NullValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

from ...core.coordinate import Entry, Kind, State, argument, field
from ...core.shape import Coverage, OperationType, Shape, unique_entries
from ...errors import RejectRecord
from . import cosmo_pb2 as pb
from .literals import neutral, parsed

MAX_NAME: Final = 1024
MAX_ENTRIES: Final = 50_000
MAX_DOCUMENT: Final = 2**20
_MAX_REPEATED: Final = 10 * MAX_ENTRIES  # entries before equal ones are united: what reading one item may cost

_TYPES: Final = {
    pb.QUERY: OperationType.QUERY,
    pb.MUTATION: OperationType.MUTATION,
    pb.SUBSCRIPTION: OperationType.SUBSCRIPTION,
}
_METRICS: Final = frozenset({Coverage.FIELDS, Coverage.ARGUMENTS, Coverage.INPUTS, Coverage.ENUM_VALUES})
_UNIDENTIFIED: Final = ("unknown", "missing")  # the router's words for a client that gave no name and version
_HIDDEN_ROOTS: Final = frozenset({"__schema", "__type", "_service"})  # no use of the schema, nor what is below
_HIDDEN_FIELDS: Final = frozenset({"__typename", "_entities"})  # no use of the schema themselves
_GIVEN: Final = State.GIVEN | State.UNCERTAIN
_NOT_GIVEN: Final = State.NULL | State.ABSENT | State.UNCERTAIN


@dataclass(frozen=True, slots=True)
class Use:
    """One item: the tally key without its minute, whether its requests failed, and its shape."""

    key: tuple[str, str, str, str, int]
    failed: bool
    shape: Shape


def use(usage: pb.SchemaUsageInfo) -> Use:
    """Read one item; RejectRecord `too_large` if a name, its document or its entries exceed the limits."""
    client = (usage.ClientInfo.Name, usage.ClientInfo.Version)
    name, version = ("", "") if client == _UNIDENTIFIED else client
    status = min(max(usage.RequestInfo.StatusCode, 0), 999)
    failed = usage.RequestInfo.error or status >= 400
    shape = _shape(usage, failed)
    return Use((_named(usage.SchemaInfo.Version), shape.id(), _named(name), _named(version), status), failed, shape)


def _shape(usage: pb.SchemaUsageInfo, failed: bool) -> Shape:
    operation = usage.OperationInfo
    if len(usage.RequestDocument) > MAX_DOCUMENT:
        raise RejectRecord("too_large", f"a document is longer than {MAX_DOCUMENT:,} characters")
    silent = not (usage.TypeFieldMetrics or usage.ArgumentMetrics or usage.InputMetrics)
    invalid = silent and (failed or operation.Hash == "0")
    unparsed = invalid and not usage.RequestDocument
    document = parsed(usage.RequestDocument)
    facts = None if document is None else _Facts(document)
    text = "" if document is None else neutral(document)
    if len(text) > MAX_DOCUMENT:  # indentation can make a document longer
        text = ""
    read = list(islice(_entries(usage, facts), _MAX_REPEATED + 1))
    entries = unique_entries(read)
    if len(read) > _MAX_REPEATED or len(entries) > MAX_ENTRIES:
        raise RejectRecord("too_large", f"an operation has more than {MAX_ENTRIES:,} entries")
    return Shape(
        operation=_named(operation.Hash),
        name=_named(operation.Name),
        type=OperationType.UNKNOWN if unparsed else _TYPES.get(operation.Type, OperationType.UNKNOWN),
        document=text,
        entries=entries,
        coverage=_coverage(usage, facts, invalid, text),
        invalid=invalid,
    )


def _coverage(usage: pb.SchemaUsageInfo, facts: _Facts | None, invalid: bool, text: str) -> frozenset[Coverage]:
    seen = set(_METRICS) if usage.TypeFieldMetrics or invalid else set()
    if facts is not None and not invalid:
        seen -= facts.unreported
    if not all(item.Path and item.TypeNames for item in usage.TypeFieldMetrics):
        seen.discard(Coverage.FIELDS)  # an entry that can't be named
    if not all(len(item.Path) == 2 and item.TypeName for item in usage.ArgumentMetrics):
        seen.discard(Coverage.ARGUMENTS)
    if not all(item.Path for item in usage.InputMetrics):
        seen.discard(Coverage.INPUTS)
    if text:
        seen.add(Coverage.DOCUMENT)
    return frozenset(seen)


def _entries(usage: pb.SchemaUsageInfo, facts: _Facts | None) -> Iterator[Entry]:
    enclosing: dict[tuple[str, str], set[frozenset[str]]] = {}  # (field, type) → the types at each such place
    for selected in usage.TypeFieldMetrics:
        if selected.Path and selected.Path[0] not in _HIDDEN_ROOTS:
            types = frozenset(name for name in selected.TypeNames if not name.startswith("__"))
            for type_name in types:
                enclosing.setdefault((selected.Path[-1], type_name), set()).add(types)
            yield from _field_entries(selected, types)
    for taken in usage.ArgumentMetrics:
        if len(taken.Path) == 2 and taken.TypeName:
            yield from _argument_entries(taken, enclosing.get((taken.Path[0], taken.TypeName), set()), facts)
    for sent in usage.InputMetrics:
        if sent.Path:
            yield from _input_entries(sent)


def _field_entries(selected: pb.TypeFieldUsageInfo, types: frozenset[str]) -> Iterator[Entry]:
    name = selected.Path[-1]
    for type_name in types:
        yield from _type(type_name)
    if name not in _HIDDEN_FIELDS:
        yield from _type(selected.NamedType)
        for type_name in types:
            yield Entry(Kind.FIELD, field(_named(type_name), _named(name)), selected.NamedType)


def _argument_entries(
    taken: pb.ArgumentUsageInfo, enclosing: set[frozenset[str]], facts: _Facts | None
) -> Iterator[Entry]:
    """The argument on the type that the router names, and on every type that can stand there."""
    name, key = taken.Path
    if name in _HIDDEN_ROOTS or name in _HIDDEN_FIELDS or taken.TypeName.startswith("__"):
        return
    given = None if facts is None else facts.given.get((name, key))
    if facts is not None and given is None and taken.IsNull:
        state = State.ABSENT
    else:
        state = (_NOT_GIVEN if taken.IsNull else _GIVEN) | (given or State.NONE)
        yield from _type(taken.NamedType)
    for type_name in {taken.TypeName}.union(*enclosing):
        coordinate = argument(_named(type_name), _named(name), _named(key))
        yield Entry(Kind.ARGUMENT, coordinate, _named(taken.NamedType), state)


def _input_entries(sent: pb.InputUsageInfo) -> Iterator[Entry]:
    """A field of an input object, or an input type alone; with the enum values sent."""
    yield from _type(sent.NamedType)
    for value in sent.EnumValues:
        yield Entry(Kind.ENUM_VALUE, field(_named(sent.NamedType), _named(value)))
    if len(sent.Path) == 1:
        yield from _type(sent.Path[0])
        return
    parent = sent.TypeName or sent.Path[-2]
    yield from _type(parent)
    coordinate = field(_named(parent), _named(sent.Path[-1]))
    yield Entry(Kind.INPUT, coordinate, _named(sent.NamedType), _NOT_GIVEN if sent.IsNull else _GIVEN)


def _type(name: str) -> Iterator[Entry]:
    if name:
        yield Entry(Kind.TYPE, _named(name))


def _named(name: str) -> str:
    if len(name) > MAX_NAME:
        raise RejectRecord("too_large", f"a name is longer than {MAX_NAME:,} characters")
    return name


class _Facts(Visitor):
    """What the document tells that the metrics don't.

    `given`: (field, argument) → NULLABLE_VARIABLE if a nullable variable without a non-null
    default stands there at least once, else NONE.  Not in it: given nowhere.
    `unreported`: what stands in the document as a literal, so not in the metrics.
    """

    def __init__(self, document: DocumentNode) -> None:
        super().__init__()
        self.given: dict[tuple[str, str], State] = {}
        self.unreported: set[Coverage] = set()
        self._nullable: set[str] = set()
        visit(document, self)

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        default = node.default_value
        if not isinstance(node.type, NonNullTypeNode) and (default is None or isinstance(default, NullValueNode)):
            self._nullable.add(node.variable.name.value)

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        for given in node.arguments or ():
            key = (node.name.value, given.name.value)
            nullable = isinstance(given.value, VariableNode) and given.value.name.value in self._nullable
            state = State.NULLABLE_VARIABLE if nullable else State.NONE
            self.given[key] = self.given.get(key, State.NONE) | state

    def enter_object_value(self, *_: Any) -> None:
        self.unreported.add(Coverage.INPUTS)

    def enter_enum_value(self, *_: Any) -> None:
        self.unreported.add(Coverage.ENUM_VALUES)
