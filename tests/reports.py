"""Reports for tests: small, valid, and with totals that are easy to know."""

from __future__ import annotations

from typing import Any

from forebay.core.coordinate import Entry, Kind
from forebay.core.execution import Outcome
from forebay.core.record import (
    TALLIES,
    ExecutionColumns,
    Record,
    Report,
    ShapeColumns,
    ShapeRecord,
    columns_of,
    encode,
    fields_of,
)
from forebay.core.shape import OperationType, Shape, unique_entries
from forebay.core.tally import Tallies
from forebay.journal.port import Message

RECEIVED = 1_795_000_000_000


def minute_of(received: int) -> int:
    return received // 60_000


def shape(name: str, *coordinates: str) -> Shape:
    """A query that uses these fields."""
    entries = unique_entries(Entry(Kind.FIELD, coordinate) for coordinate in coordinates)
    return Shape(operation=name, name=name, type=OperationType.QUERY, document="", entries=entries)


def report(org: str, agent: str, sequence: int, requests: int = 1, graph: str = "g", **fields: Any) -> Report:
    """A report of one tally (`tallies` for others) at `received`."""
    received = fields.pop("received", RECEIVED)
    tallies: Tallies = fields.pop("tallies", None) or {
        (minute_of(received), "v", shape("Q").id(), fields.pop("client", "web"), "1", 200): (
            requests,
            0,
            {10: requests},
        )
    }
    columns: dict[str, Any] = dict(columns_of(tallies))
    stamp: dict[str, Any] = {"org": org, "graph": graph, "source": "native", "received": received}
    return Report(agent=agent, sequence=sequence, **columns, **stamp, **fields)


def executions(errors: int, received: int = RECEIVED) -> ExecutionColumns:
    """So many errors at User.email, and as many executions of it that were seen, each standing for ten."""
    minute = minute_of(received)
    estimate = Outcome(executions=10 * errors, sampled=errors, duration={10: 10 * errors})
    return ExecutionColumns.of(
        {
            (minute, shape("Q").id(), "User.email", "web", "1"): Outcome(requests=errors, errors=errors),
            (minute, "", "User.email", "web", "1"): estimate,
        }
    )


def shape_record(org: str, of: Shape, graph: str = "g", received: int = RECEIVED) -> ShapeRecord:
    fields = fields_of(ShapeColumns.of(of))
    return ShapeRecord(org=org, graph=graph, source="native", received=received, **fields)


def message(record: Record, topic: str = TALLIES) -> Message:
    return Message(topic, "key", encode(record))
