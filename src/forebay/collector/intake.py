"""From a decoded report to durable records: the part that all protocols share.

A report is acknowledged after one append that holds, in this order, the schemas and shapes that
the log may not have, and the report.  A client that sends no identity lends the collector's own:
each append gets the collector's next sequence, so that what the collector itself repeats counts
once.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ..access import Identity
from ..core.record import (
    SCHEMAS,
    SHAPES,
    TALLIES,
    ExecutionColumns,
    Record,
    Report,
    SchemaColumns,
    SchemaRecord,
    ShapeColumns,
    ShapeRecord,
    TallyColumns,
    encode,
    fields_of,
)
from ..errors import RejectRecord
from ..journal.port import Appender, Message
from ..metrics import ADJUSTED, LOST, REPORTS, REQUESTS
from ..steps import reached
from .admission import Limits
from .waking import Waking

DAY = 86_400
FUTURE_MINUTES = 10
RETENTION_MINUTES = 90 * 1440
REMEMBERED = 500_000
"""Shapes and schemas of which the collector remembers that they were published today."""


PublishedKey = tuple[str, str, str]
"""(org, graph, id)"""

Describe = Callable[[], SchemaColumns | ShapeColumns]
"""What a tally names, checked; called only if the log has not had it today."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A report as a protocol's decoder leaves it.  Without `agent` the collector lends its own.

    `named`: by id, how to describe the schemas and shapes that came along.
    """

    source: str
    tallies: TallyColumns
    named: Mapping[str, Describe]
    agent: str = ""
    sequence: int = 0
    lost: dict[str, int] | None = None
    executions: ExecutionColumns | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Counts:
    """What the metrics say of a report once it is durable."""

    source: str
    requests: int
    lost: dict[str, int]
    adjusted: dict[str, int]

    def tell(self) -> None:
        REPORTS.labels(self.source).inc()
        REQUESTS.labels(self.source).inc(self.requests)
        for reason, count in self.lost.items():
            LOST.labels(reason if reason in KNOWN_LOSSES else "other").inc(count)
        for reason, count in self.adjusted.items():
            ADJUSTED.labels(reason).inc(count)


class Intake:
    """Appends deliveries to the journal.  Used from one event loop."""

    def __init__(self, journal: Appender, limits: Limits, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._waking = Waking()
        self._agent = uuid.uuid4().hex
        self._sequences: dict[Identity, int] = {}
        self._published: dict[PublishedKey, int] = {}  # → day

    def take(self, identity: Identity, delivery: Delivery) -> Awaitable[None]:
        """Durable when what it returns is done.  RejectRecord for what can never be taken, RetryLater otherwise.

        What waits for the journal is bytes: a decoded report is some thousand objects, and those of all
        reports under way would push one another out of the processor's caches.
        """
        reached("collector.received")
        now = self._clock()
        stamp: dict[str, Any] = {
            "org": identity.org,
            "graph": identity.graph,
            "source": delivery.source,
            "received": int(now * 1000),
        }
        self._check_size(delivery)
        day = int(now) // DAY
        fresh = {
            key: describe
            for id_, describe in delivery.named.items()
            if self._published.get(key := (identity.org, identity.graph, id_)) != day
        }
        named = [_record_of(describe(), stamp) for describe in fresh.values()]
        columns, adjusted = on_time(delivery.tallies, int(now) // 60)
        executions = delivery.executions
        if executions is not UNSET:
            executions, _ = on_time(executions, int(now) // 60)  # its tallies are counted
        agent, sequence = delivery.agent, delivery.sequence
        if not agent:
            agent, sequence = self._agent, self._sequences.get(identity, 0) + 1
            self._sequences[identity] = sequence
        report = Report(
            agent=agent,
            sequence=sequence,
            lost=delivery.lost or {},
            adjusted=adjusted,
            executions=executions,
            **fields_of(columns),
            **stamp,
        )
        messages = _messages([*named, (TALLIES, report)], f"{identity.org}/{identity.graph}/{agent}")
        return self._take(
            messages, list(fresh), day, Counts(delivery.source, sum(report.requests), report.lost, adjusted)
        )

    async def _take(self, messages: list[Message], fresh: list[PublishedKey], day: int, counts: Counts) -> None:
        await self._waking.result(self._journal.append(messages))
        reached("collector.appended")
        if fresh:
            self._remember(fresh, day)
        counts.tell()

    async def publish(self, identity: Identity, schema: SchemaColumns) -> None:
        """Make a schema durable that was not part of a report."""
        stamp = {"org": identity.org, "graph": identity.graph, "received": int(self._clock() * 1000)}
        record = _record_of(schema, stamp | {"source": "published"})
        messages = _messages([record], f"{identity.org}/{identity.graph}/")
        await self._waking.result(self._journal.append(messages))

    def _check_size(self, delivery: Delivery) -> None:
        executions = 0 if delivery.executions is UNSET else len(delivery.executions.minute)
        if max(len(delivery.tallies.minute), executions) > self._limits.entries:
            raise RejectRecord("too_large", f"more than {self._limits.entries} tallies: send smaller reports")

    def _remember(self, keys: Iterable[PublishedKey], day: int) -> None:
        if len(self._published) > REMEMBERED:
            self._published.clear()  # costs some records that say again what the log says already
        self._published |= dict.fromkeys(keys, day)


KNOWN_LOSSES = frozenset({"rejected", "agent_error", "spool"})
"""Reasons become labels of a metric, so strangers may not make up new ones."""


C = TypeVar("C", TallyColumns, ExecutionColumns)


def on_time(tallies: C, now: int) -> tuple[C, dict[str, int]]:
    """Rows with absurd minutes replaced by `now`, and how many were, by reason."""
    earliest, latest = now - RETENTION_MINUTES, now + FUTURE_MINUTES
    if not tallies.minute or earliest <= min(tallies.minute) <= max(tallies.minute) <= latest:
        return tallies, {}
    reasons = {
        "future": sum(minute > latest for minute in tallies.minute),
        "past": sum(minute < earliest for minute in tallies.minute),
    }
    minutes = [minute if earliest <= minute <= latest else now for minute in tallies.minute]
    return msgspec.structs.replace(tallies, minute=minutes), {reason: n for reason, n in reasons.items() if n}


def _messages(records: Iterable[tuple[str, Record]], key: str) -> list[Message]:
    return [Message(topic, key, encode(record)) for topic, record in records]


def _record_of(item: SchemaColumns | ShapeColumns, stamp: dict[str, Any]) -> tuple[str, Record]:
    """The item's record with its topic."""
    if isinstance(item, SchemaColumns):
        return SCHEMAS, SchemaRecord(**fields_of(item), **stamp)
    return SHAPES, ShapeRecord(**fields_of(item), **stamp)
