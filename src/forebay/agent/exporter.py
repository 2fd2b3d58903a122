"""Tallies become reports, and reports reach a collector.

One report at a time: it is sealed and serialised once, and the same bytes are sent until they
are acknowledged, for hours if need be, while new traffic merges into the recorder's open
tallies.  `agent` and `sequence` make it count once however often it arrives.

A report that the collector refuses for good is lost: its requests are counted as such in the
next report.  What follows it gets a new agent id, because whether an earlier attempt arrived
is unknown, and neither a gap nor a second use of a sequence may be left behind.
"""

from __future__ import annotations

import gzip
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Condition
from typing import Any, Final, cast

from msgspec import UNSET

from ..core import wire
from ..core.record import ExecutionColumns, SchemaColumns, columns_of
from ..core.tally import Tallies
from ..errors import RetryLater
from .faults import Faults
from .post import Answer
from .recorder import Recorder, Taken

Send = Callable[[bytes, float], Answer]
"""Posts a body within a timeout in seconds; raises RetryLater where no answer came."""

REFUSED: Final = frozenset({400, 404, 405, 413, 415, 422})
LONGEST_PAUSE: Final = 3600.0
"""Neither Retry-After nor an interval that a collector asks for is honoured beyond this, in seconds."""
REMEMBERED_SHAPES: Final = 100_000
LARGEST_SCHEMA: Final = 2**24


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one report, and of the pauses between attempts."""

    tallies: int = 10_000
    body: int = 8 * 2**20  # bytes, before compression
    timeout: float = 10.0  # seconds
    first_pause: float = 1.0  # seconds; doubled after each attempt, and any part of it may be waited
    last_pause: float = 30.0


@dataclass(frozen=True, slots=True)
class Sealed:
    """A report that is not acknowledged yet."""

    body: bytes
    sequence: int
    requests: int
    lost: Mapping[str, int]
    names: frozenset[str]  # ids of the shapes and the schema that it holds
    day: int
    more: bool  # the recorder has more than went into it
    ticket: int  # the last flush that was asked for before it was sealed


class Exporter:
    """`step` does the work and is called by one thread; `flush` may be called by any."""

    def __init__(
        self,
        recorder: Recorder,
        send: Send,
        schema: Callable[[], SchemaColumns],
        faults: Faults,
        *,
        interval: float = 5.0,
        bounds: Bounds = Bounds(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._recorder, self._send, self._schema, self._faults = recorder, send, schema, faults
        self._own_interval = self._interval = interval
        self._bounds, self._clock = bounds, clock
        self._agent, self._sequence = uuid.uuid4().hex, 0
        self._sealed: Sealed | None = None
        self._attempts = 0
        self._largest = bounds.body
        self._day = 0
        self._known: set[str] = set()  # ids of what was acknowledged on that day
        self._changed = Condition()
        self._flushes = self._flushed = 0
        self.acknowledged = 0

    def pause(self) -> float:
        """Seconds until the next report, as the interval with 20 % of jitter."""
        return self._interval * random.uniform(0.8, 1.2)

    def step(self) -> float:
        """Seal a report if none is open, send it once, and return the seconds until the next step."""
        if self._sealed is None:
            ticket = self._flushes
            self._sealed = self._seal(ticket)
            if self._sealed is None:
                self._settle(ticket)
                return self.pause()
        try:
            answer = self._send(self._sealed.body, self._bounds.timeout)
        except RetryLater as exc:
            self._faults.note("send", str(exc))
            return self._back_off(None)
        if 200 <= answer.status < 300:
            return self._acknowledge(self._sealed, answer)
        self._faults.note(f"answer {answer.status}", "the collector did not take a report")
        if answer.status in REFUSED:
            return self._refuse(self._sealed, answer)
        return self._back_off(answer.retry_after)

    def flush(self, wake: Callable[[], None], timeout: float) -> bool:
        """Wait until what was recorded before is acknowledged; False if that took too long."""
        with self._changed:
            self._flushes += 1
            ticket = self._flushes
            self._attempts = 0
            wake()
            return self._changed.wait_for(lambda: self._flushed >= ticket, timeout)

    def unacknowledged(self) -> int:
        """Requests of the report that is under way."""
        sealed = self._sealed
        return sealed.requests if sealed else 0

    def _seal(self, ticket: int) -> Sealed | None:
        self._recorder.analyse()
        taken = self._recorder.take(self._bounds.tallies)
        if not taken.tallies and not taken.lost and not taken.executions:
            return None
        try:
            return self._serialised(taken, ticket)
        except BaseException:
            self._recorder.give_back(taken.tallies, taken.shapes, taken.lost, taken.executions)
            raise

    def _serialised(self, taken: Taken, ticket: int) -> Sealed:
        """The report of as many of the tallies as its size allows; the rest is given back."""
        day = int(self._clock() // 86_400)
        if day != self._day or len(self._known) > REMEMBERED_SHAPES:
            self._day, self._known = day, set()
        schema, more = self._schema(), taken.more
        tallies = {(key[0], schema.id, *key[2:]): count for key, count in taken.tallies.items()}
        while True:
            push = self._push(tallies, taken, schema)
            plain = wire.encode(push)
            if len(plain) <= self._largest or len(tallies) <= 1:
                break
            half = len(tallies) // 2
            tallies, more = dict(list(tallies.items())[:half]), True
        rest = dict(list(taken.tallies.items())[len(tallies) :])
        sealed = Sealed(
            body=gzip.compress(plain, compresslevel=5, mtime=0),
            sequence=push.sequence,
            requests=sum(push.requests),
            lost=taken.lost,
            names=frozenset((*(shape.id for shape in push.shapes), *(schema.id for schema in push.schemas))),
            day=day,
            more=more,
            ticket=ticket,
        )
        if rest:
            self._recorder.give_back(rest, taken.shapes, {})
        return sealed

    def _push(self, tallies: Tallies, taken: Taken, schema: SchemaColumns) -> wire.Push:
        named = dict.fromkeys(key[2] for key in tallies)
        known = self._known
        return wire.Push(
            **cast(Any, columns_of(tallies)),
            agent=self._agent,
            sequence=self._sequence + 1,
            lost=taken.lost,
            executions=ExecutionColumns.of(taken.executions) if taken.executions else UNSET,
            shapes=[taken.shapes[shape] for shape in named if shape not in known],
            schemas=[schema] if schema.id not in known and 0 < len(schema.sdl) <= LARGEST_SCHEMA else [],
        )

    def _acknowledge(self, sealed: Sealed, answer: Answer) -> float:
        self._sequence = sealed.sequence
        self.acknowledged += sealed.requests
        if sealed.day == self._day:
            self._known |= sealed.names
        self._interval = min(max(self._own_interval, answer.interval or 0), LONGEST_PAUSE)
        self._sealed, self._attempts = None, 0
        if not sealed.more:
            self._settle(sealed.ticket)
        return 0.0 if sealed.more or self._flushed < self._flushes else self.pause()

    def _refuse(self, sealed: Sealed, answer: Answer) -> float:
        if answer.status == 413:
            self._largest = max(self._largest // 2, 2**16)
        self._agent, self._sequence = uuid.uuid4().hex, 0
        self._sealed = None
        if sealed.requests:
            self._recorder.lose("rejected", sealed.requests)
        self._recorder.give_back({}, {}, sealed.lost)
        return self.pause()

    def _back_off(self, retry_after: float | None) -> float:
        """Full jitter: any part of a pause that doubles; never before the collector's own time."""
        longest = min(self._bounds.last_pause, self._bounds.first_pause * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 30)
        return max(random.uniform(0, longest), min(retry_after or 0.0, LONGEST_PAUSE))

    def _settle(self, ticket: int) -> None:
        with self._changed:
            self._flushed = max(self._flushed, ticket)
            self._changed.notify_all()
