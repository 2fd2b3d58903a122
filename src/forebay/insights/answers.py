"""Answers.  Each carries `about`: the window it speaks of, how fresh and complete it is, and what was visible.

All times are UTC.  A `first_seen` or `last_seen` is the start of a bucket of the window's grain.
A client that did not say its name has the empty name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ..core.coordinate import Kind
from ..core.shape import Coverage


class Scope(NamedTuple):
    """The one graph that a question is about."""

    org: str
    graph: str


class Reason(StrEnum):
    """Why an answer is not complete."""

    NO_DATA = "no_data"  # nothing of this graph was ever loaded
    WINDOW_BEFORE_DATA = "window_before_data"
    EXPIRED = "expired"  # the window starts before what the store keeps
    LAG = "lag"
    STRANDED = "stranded"  # retention took records before they were loaded
    MISSING = "missing"  # agents numbered reports that never came, or have not come yet
    ORPHANS = "orphans"  # requests whose shape is not known
    NOT_ANALYSED = "not_analysed"  # requests whose shape covers nothing
    LOST = "lost"  # by agents
    DEAD_LETTERS = "dead_letters"
    REBUILD = "rebuild"  # one is unfinished
    HOLLOW = "hollow"  # the store has less than was loaded


class Verdict(StrEnum):
    """Of one element of the schema.  Unused only if nobody used it as far as anybody could have."""

    USED = "used"
    UNUSED = "unused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class About:
    """What an answer speaks of.

    `coverage`: what the reporters of *all* valid operations of the window can see; `missing`: the
    rest.  `incomplete` says in sentences, `reasons` in words, why something may be missing;
    `complete` means that there is no such reason.
    """

    org: str
    graph: str
    since: datetime
    until: datetime
    bucket_seconds: int
    complete_up_to: datetime | None
    data_since: datetime | None
    requests: int
    coverage: tuple[Coverage, ...]
    missing: tuple[Coverage, ...]
    complete: bool
    incomplete: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """Who uses a coordinate: one client's version in one operation.

    `kinds`: as what it is used, a coordinate like `User.email` alone does not say; `states`: in
    which states an argument or input field was sent.
    """

    client: str
    client_version: str
    operation: str
    name: str
    type: str
    kinds: tuple[Kind, ...]
    states: tuple[str, ...]
    requests: int
    errors: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class ClientsOf:
    """Who uses `coordinate`: `requests` by `total` uses, of which `uses` are those with most.

    `known`: is it in the newest schema, or in one that traffic of the window ran on; None if no schema was published.
    """

    about: About
    coordinate: str
    known: bool | None
    suggestions: tuple[str, ...]
    requests: int
    total: int
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class ClientTraffic:
    client: str
    client_version: str
    requests: int
    errors: int
    operations: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Clients:
    about: About
    clients: tuple[ClientTraffic, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """One coordinate that a client uses, and in how many requests and operations."""

    kind: Kind
    coordinate: str
    requests: int
    operations: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class FieldsOf:
    """What a client uses; all its versions where `client_version` is None."""

    about: About
    client: str
    client_version: str | None
    requests: int
    uses: tuple[Used, ...]


@dataclass(frozen=True, slots=True)
class OperationTraffic:
    """Durations are in seconds, None where nobody reported any.  `uses_deprecated` is None without a schema."""

    operation: str
    name: str
    type: str
    requests: int
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    clients: int
    first_seen: datetime
    last_seen: datetime
    invalid: bool
    uses_deprecated: bool | None


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations with most requests; `total` counts all of them."""

    about: About
    total: int
    operations: tuple[OperationTraffic, ...]


@dataclass(frozen=True, slots=True)
class FieldErrors:
    """The `errors` that arose at one field, in so many `requests`."""

    coordinate: str
    errors: int
    requests: int
    clients: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Errors:
    """The fields at which most errors arose, of one operation or of all; `total` counts the fields.

    Of `errors` those that are `unattributed` arose where no reporter could tell the field.
    """

    about: About
    operation: str | None
    errors: int
    unattributed: int
    total: int
    fields: tuple[FieldErrors, ...]


@dataclass(frozen=True, slots=True)
class ClientErrors:
    """The errors at a field that one client's version met in one operation."""

    client: str
    client_version: str
    operation: str
    name: str
    errors: int
    requests: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class FieldExecutions:
    """How often a field's resolver ran, and how often it raised: an *estimate* from `sampled` executions.

    Durations are in seconds, None without any.
    """

    executions: int
    failed: int
    sampled: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class ErrorsAt:
    """What became of one field: its errors by client and operation, and its executions where they are reported.

    `errors` in `requests` are all of them, met in `total` uses, of which `uses` are those with most.
    """

    about: About
    coordinate: str
    errors: int
    requests: int
    total: int
    uses: tuple[ClientErrors, ...]
    executions: FieldExecutions | None


@dataclass(frozen=True, slots=True)
class Moment:
    time: datetime
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class RequestsOverTime:
    """Steps of equal length without gaps; the last one is not over yet."""

    about: About
    step_seconds: int
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class ElementUse:
    """One element of the schema.  `share` is of all requests of the window, 0…1; `why` explains an unknown.

    `subgraphs` answer a field or type, where the published schema is a supergraph.
    """

    kind: Kind
    coordinate: str
    type: str
    deprecated: str | None
    requests: int
    share: float
    last_seen: datetime | None
    verdict: Verdict
    why: str
    arguments: tuple[ElementUse, ...] = ()
    subgraphs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeUse:
    """A type with its fields, input fields or enum values."""

    use: ElementUse
    elements: tuple[ElementUse, ...]


@dataclass(frozen=True, slots=True)
class SchemaUse:
    about: About
    schema_version: str
    types: tuple[TypeUse, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    org: str
    graph: str
    last_seen: datetime | None
