"""The records of the journal: one JSON object each, tagged `record` and versioned `v`.

| record    | topic           | one record holds                                             |
|-----------|-----------------|--------------------------------------------------------------|
| `tallies` | forebay.tallies | one report: its tallies as parallel arrays                   |
| `shape`   | forebay.shapes  | one shape: its entries as parallel arrays                    |
| `schema`  | forebay.schemas | one schema in SDL                                            |

Field names are the columns of the landing tables, so that a record can be inserted there as it
is (JSONEachRow).  Unknown fields are ignored, so that an older reader takes a newer writer's
records.  `decode` raises RejectRecord and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import gt
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import RejectRecord
from .coordinate import Entry, Kind, State
from .execution import Executions, Outcome, Place
from .histogram import LAST_BUCKET
from .shape import Coverage, OperationType, Shape
from .tally import Count, Key, Tallies

VERSION: Final = 1

TALLIES, SHAPES, SCHEMAS = "forebay.tallies", "forebay.shapes", "forebay.schemas"
TOPICS = (SCHEMAS, SHAPES, TALLIES)
"""In the order in which a loader should read them: what is named before what names it."""

Name = Annotated[str, Meta(max_length=1024)]
Id = Annotated[str, Meta(min_length=32, max_length=32)]
MAX_COUNT: Final = 2**40  # so that no sum over a range of the log exceeds 64 bits
Counter = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Minute = Annotated[int, Meta(ge=0, le=2**31)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Bucket = Annotated[int, Meta(ge=0, le=LAST_BUCKET)]
Status = Annotated[int, Meta(ge=0, le=999)]
Reasons = dict[Name, Counter]


class TallyColumns(Struct, kw_only=True):
    """Tallies as parallel arrays, all of one length; row i of each makes one tally."""

    minute: list[Minute]
    schema_version: list[Name]
    shape: list[Id]
    client: list[Name]
    client_version: list[Name]
    status: list[Status]
    requests: list[Counter]
    errors: list[Counter]
    duration: list[dict[Bucket, Counter]]

    def __post_init__(self) -> None:
        rows = len(self.minute)
        columns = (self.schema_version, self.shape, self.client, self.client_version, self.status)
        counts = (self.requests, self.errors, self.duration)
        if {len(column) for column in (*columns, *counts)} != {rows}:
            raise ValueError("the arrays of tallies differ in length")
        if len(bytes.fromhex("".join(self.shape))) != 16 * rows:
            raise ValueError("a shape is not 32 hexadecimal digits")
        if any(map(gt, self.errors, self.requests)):
            raise ValueError("a tally has more errors than requests")

    def rows(self) -> Iterator[tuple[Key, Count]]:
        """The tallies, as `fold` takes them."""
        keys = zip(
            self.minute, self.schema_version, self.shape, self.client, self.client_version, self.status, strict=True
        )
        return zip(keys, zip(self.requests, self.errors, self.duration, strict=True), strict=True)


class ExecutionColumns(Struct, kw_only=True):
    """What became of fields in execution, as parallel arrays; see `core.execution` for what they mean."""

    minute: list[Minute]
    shape: list[Annotated[str, Meta(max_length=32)]]
    coordinate: list[Name]
    client: list[Name]
    client_version: list[Name]
    requests: list[Counter]
    errors: list[Counter]
    executions: list[Counter]
    sampled: list[Counter]
    failed: list[Counter]
    duration: list[dict[Bucket, Counter]]

    def __post_init__(self) -> None:
        if len({len(getattr(self, name)) for name in self.__struct_fields__}) != 1:
            raise ValueError("the arrays of executions differ in length")
        if any(shape and len(bytes.fromhex(shape)) != 16 for shape in self.shape):
            raise ValueError("a shape is not 32 hexadecimal digits")
        for part, whole in (("requests", "errors"), ("sampled", "executions"), ("failed", "executions")):
            if any(map(gt, getattr(self, part), getattr(self, whole))):
                raise ValueError(f"more {part} than {whole} of a field")

    @classmethod
    def of(cls, executions: Executions) -> ExecutionColumns:
        rows = ((*place, *outcome) for place, outcome in executions.items())
        columns = map(list, zip(*rows, strict=True)) if executions else ([] for _ in cls.__struct_fields__)
        return cls(**dict(zip(cls.__struct_fields__, columns, strict=True)))

    def rows(self) -> Iterator[tuple[Place, Outcome]]:
        """As `core.execution.fold` takes them."""
        keys = zip(self.minute, self.shape, self.coordinate, self.client, self.client_version, strict=True)
        counts = zip(self.requests, self.errors, self.executions, self.sampled, self.failed, self.duration, strict=True)
        return zip(keys, map(Outcome._make, counts), strict=True)


class Report(TallyColumns, kw_only=True, tag_field="record", tag="tallies"):
    """One report of one agent.

    `sequence` counts the agent's reports of one graph from 1 without gaps: with `agent` it
    tells whether a report was seen before.  `received` is the collector's clock; `lost` counts
    requests that the agent had to drop, by reason; `adjusted` counts tallies whose time had to
    be replaced by the time of arrival.
    """

    v: Literal[1] = VERSION
    org: Name
    graph: Name
    source: Name
    agent: Annotated[str, Meta(min_length=1, max_length=128)]
    sequence: Annotated[int, Meta(ge=1, le=2**53)]
    received: Milliseconds
    lost: Reasons = {}
    adjusted: Reasons = {}
    executions: ExecutionColumns | UnsetType = UNSET  # left out by reports that have none, as by all earlier ones


class ShapeColumns(Struct, kw_only=True):
    """A shape with its entries as parallel arrays.  `id` is the hash of all the rest."""

    id: Id
    operation: Name
    name: Name
    type: OperationType
    document: Annotated[str, Meta(max_length=2**20)]
    invalid: bool
    coverage: list[Coverage]
    kind: list[Kind]
    coordinate: list[Annotated[str, Meta(max_length=4096)]]
    named_type: list[Name]
    state: list[Annotated[int, Meta(ge=0, le=31)]]

    def __post_init__(self) -> None:
        if not len(self.kind) == len(self.coordinate) == len(self.named_type) == len(self.state):
            raise ValueError("the arrays of entries differ in length")
        if len(bytes.fromhex(self.id)) != 16:
            raise ValueError("the id is not 32 hexadecimal digits")

    @classmethod
    def of(cls, shape: Shape) -> ShapeColumns:
        return cls(
            id=shape.id(),
            operation=shape.operation,
            name=shape.name,
            type=shape.type,
            document=shape.document,
            invalid=shape.invalid,
            coverage=sorted(shape.coverage),
            kind=[entry.kind for entry in shape.entries],
            coordinate=[entry.coordinate for entry in shape.entries],
            named_type=[entry.named_type for entry in shape.entries],
            state=[int(entry.state) for entry in shape.entries],
        )

    def shape(self) -> Shape:
        entries = zip(self.kind, self.coordinate, self.named_type, map(State, self.state), strict=True)
        return Shape(
            operation=self.operation,
            name=self.name,
            type=self.type,
            document=self.document,
            entries=tuple(Entry(*entry) for entry in entries),
            coverage=frozenset(self.coverage),
            invalid=self.invalid,
        )


class ShapeRecord(ShapeColumns, kw_only=True, tag_field="record", tag="shape"):
    """One shape of one graph; published before or with the first tally that names it, and daily."""

    v: Literal[1] = VERSION
    org: Name
    graph: Name
    source: Name
    received: Milliseconds


class SchemaColumns(Struct, kw_only=True):
    """One version of a schema; `id` is what tallies call `schema_version`."""

    id: Name
    sdl: Annotated[str, Meta(max_length=2**24)]


class SchemaRecord(SchemaColumns, kw_only=True, tag_field="record", tag="schema"):
    """One version of a graph's schema."""

    v: Literal[1] = VERSION
    org: Name
    graph: Name
    source: Name
    received: Milliseconds


Record = Report | ShapeRecord | SchemaRecord

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """One JSON object, UTF-8."""
    return _encoder.encode(record)


def decode(raw: bytes) -> Record:
    """The record, every invariant checked; RejectRecord with reason `undecodable` otherwise."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise RejectRecord("undecodable", str(exc)) from exc


def topic_of(record: Record) -> str:
    """Where it belongs."""
    return TALLIES if isinstance(record, Report) else SHAPES if isinstance(record, ShapeRecord) else SCHEMAS


def columns_of(tallies: Tallies) -> dict[str, list[object]]:
    """The arrays of a report that holds these tallies."""
    names = ("minute", "schema_version", "shape", "client", "client_version", "status")
    counts = ("requests", "errors", "duration")
    keys = zip(*tallies, strict=True) if tallies else ((),) * len(names)
    values = zip(*tallies.values(), strict=True) if tallies else ((),) * len(counts)
    return {name: list(column) for name, column in zip((*names, *counts), (*keys, *values), strict=True)}


def fields_of(columns: TallyColumns | ShapeColumns | SchemaColumns) -> dict[str, Any]:
    """The columns by name, as the record that extends them takes them; what else a struct has is left out."""
    base = next(base for base in (TallyColumns, ShapeColumns, SchemaColumns) if isinstance(columns, base))
    return {name: getattr(columns, name) for name in base.__struct_fields__}
