"""Tallies become reports, and reports reach a collector.

One report at a time: it is sealed and serialised once, and the same bytes are sent until they
are acknowledged, for hours if need be, while new traffic merges into the recorder's open
tallies.  `agent` and `sequence` make it count once however often it arrives.

With a spool, a report is on disk before it is sent, and while one can't be sent the open tallies
are saved every interval, sealed as what would be sent next.  So a process that is killed loses
what it counted in its last interval, and the next process goes on with the same bytes.

A report that is too large is cut in two, if it is certain that no attempt was taken.  One that
the collector refuses for good is lost: its requests are counted as such in the next report.  What
follows gets a new agent id, because whether an earlier attempt arrived may be unknown, and
neither a gap nor a second use of a number may be left behind.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Condition, Lock
from typing import Any, Final, cast

from msgspec import UNSET

from ..core import wire
from ..core.execution import Executions
from ..core.record import ExecutionColumns, SchemaColumns, ShapeColumns, columns_of
from ..core.tally import Tallies
from ..errors import RejectRecord, RetryLater
from .faults import Faults
from .post import Answer
from .recorder import Recorder
from .sealed import Sealed, halves, new_agent, renumbered, seal
from .spool import Spool

Send = Callable[[bytes, float], Answer]
"""Posts a body within a timeout in seconds; raises RetryLater where no answer came."""

REFUSED: Final = frozenset({400, 404, 405, 413, 415, 422})
LONGEST_PAUSE: Final = 3600.0
"""Neither Retry-After nor an interval that a collector asks for is honoured beyond this, in seconds."""
ADOPT_EVERY: Final = 60.0
"""Seconds between two looks for what dead processes left in the spool."""
SAVING_SHARE: Final = 20
"""Saving takes at most one part in so many of the time."""
REMEMBERED_SHAPES: Final = 100_000
LARGEST_SCHEMA: Final = 2**24


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one report, of the pauses between attempts, and of the spool."""

    tallies: int = 10_000
    body: int = 8 * 2**20  # bytes, before compression
    timeout: float = 10.0  # seconds
    first_pause: float = 1.0  # seconds; doubled after each attempt, and any part of it may be waited
    last_pause: float = 30.0
    patience: int = 20  # refusals in a row until one is believed that is no collector's, as of a proxy on the way
    spool: int = 64 * 2**20  # bytes of one graph's files, of all processes together


class Exporter:
    """`work`, or `step` alone, is called by one thread; `flush` and `leave` may be called by any."""

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
        spool: Spool | None = None,
    ) -> None:
        self._recorder, self._send, self._schema, self._faults = recorder, send, schema, faults
        self._own_interval = self._interval = interval
        self._bounds, self._clock, self._spool = bounds, clock, spool
        self._agent, self._sequence = new_agent(), 0  # of the last report that was sealed
        self._reports: list[Sealed] = []  # not acknowledged, in the order in which they are sent
        self._announced: Sealed | None = None  # the spool says that this one may have been sent
        self._saved = False  # the spool holds open tallies too
        self._ticket = 0  # the last flush that was asked for before the last report was sealed
        self._more = False  # the recorder has more than went into that
        self._attempts = self._refusals = 0
        self._largest = bounds.body
        self._day = self._sealed_on = 0
        self._known: set[str] = set()  # ids of what was acknowledged on that day
        self._guard = Lock()  # of all of this; not held while a report is sent
        self._left = self._urgent = False
        self._due = self._save_due = self._adopt_due = 0.0  # by time.monotonic
        self._changed = Condition()
        self._flushes = self._flushed = 0
        self.acknowledged = 0

    def pause(self) -> float:
        """Seconds until the next report, as the interval with 20 % of jitter."""
        return self._interval * random.uniform(0.8, 1.2)

    def work(self) -> float:
        """Do what is due, a step or saving what came since the last one, and return the seconds until the next."""
        urgent, self._urgent = self._urgent, False
        if self._spool is None:
            return self.step()
        if urgent or time.monotonic() >= self._due:
            self._due = time.monotonic() + self.step()
        if not self._reports:
            return self._due - time.monotonic()
        begun = time.monotonic()
        if begun >= self._save_due:
            with self._guard:
                self._save()
            ended = time.monotonic()
            self._save_due = ended + max(self._own_interval, SAVING_SHARE * (ended - begun))
        return max(min(self._due, self._save_due) - time.monotonic(), 0)

    def step(self) -> float:
        """Seal a report if none is open, send it once, and return the seconds until the next step."""
        with self._guard:
            if self._left:
                return LONGEST_PAUSE
            if not self._reports:
                self._reports = self._adopt() or self._seal()
            if not self._reports:
                self._settle(self._ticket)
                return self.pause()
            self._announce()
            report = self._reports[0]
        try:
            answer = self._send(report.body, self._bounds.timeout)
        except RetryLater as exc:
            self._faults.note("send", str(exc))
            return self._doubt(not exc.unsent, None)
        if 200 <= answer.status < 300 and answer.genuine:
            with self._guard:
                return self._acknowledge(report, answer)
        self._faults.note(f"answer {answer.status}", "the collector did not take a report")
        if answer.status not in REFUSED:
            return self._doubt(answer.status >= 500 or answer.status < 300, answer.retry_after)
        self._refusals += 1
        pieces = halves(report) if answer.status == 413 and not report.uncertain else ()
        if not (pieces or answer.genuine or self._refusals >= self._bounds.patience):
            return self._doubt(False, answer.retry_after)
        with self._guard:
            return self._refuse(report, pieces, answer)

    def flush(self, wake: Callable[[], None], timeout: float) -> bool:
        """Wait until what was recorded before is acknowledged; False if that took too long."""
        with self._changed:
            self._flushes += 1
            ticket = self._flushes
            self._attempts = 0
            self._urgent = True
            wake()
            return self._changed.wait_for(lambda: self._flushed >= ticket, timeout)

    def leave(self, patience: float) -> bool:
        """Send no more, and leave to the next process what is not acknowledged; False if the disk does not have it."""
        if self._spool is None or not self._guard.acquire(timeout=patience):
            return False
        try:
            saved = not self._left and self._save()
            self._left = True
            self._spool.forget()
            return saved
        finally:
            self._guard.release()

    def forget(self) -> None:
        """In a forked child: the spool's file is the parent's."""
        if self._spool is not None:
            self._spool.forget()

    def unacknowledged(self) -> int:
        """Requests of the reports that are under way."""
        return sum(report.requests for report in self._reports)

    def _seal(self) -> list[Sealed]:
        self._ticket = self._flushes
        self._recorder.analyse()
        taken = self._recorder.take(self._bounds.tallies)
        if not taken.tallies and not taken.lost and not taken.executions:
            return []
        try:
            report, rest = self._packed(taken.tallies, taken.shapes, taken.lost, taken.executions, self._sequence + 1)
        except BaseException:
            self._recorder.give_back(taken.tallies, taken.shapes, taken.lost, taken.executions)
            raise
        self._sequence, self._more, self._sealed_on = report.sequence, taken.more or bool(rest), self._day
        if rest:
            self._recorder.give_back(rest, taken.shapes, {})
        return [report]

    def _packed(
        self,
        tallies: Tallies,
        shapes: Mapping[str, ShapeColumns],
        lost: Mapping[str, int],
        executions: Executions,
        sequence: int,
    ) -> tuple[Sealed, Tallies]:
        """The report of as many of the tallies as its bounds allow, and the rest of them."""
        day = int(self._clock() // 86_400)
        if day != self._day or len(self._known) > REMEMBERED_SHAPES:
            self._day, self._known = day, set()
        schema, rows = self._schema(), list(tallies.items())
        taken = min(len(rows), self._bounds.tallies)
        while True:
            some = {(key[0], schema.id, *key[2:]): count for key, count in rows[:taken]}
            push = self._push(some, shapes, schema, lost, executions, sequence)
            plain = wire.encode(push)
            if len(plain) <= self._largest or taken <= 1:
                return seal(push, plain), dict(rows[taken:])
            taken //= 2

    def _push(
        self,
        tallies: Tallies,
        shapes: Mapping[str, ShapeColumns],
        schema: SchemaColumns,
        lost: Mapping[str, int],
        executions: Executions,
        sequence: int,
    ) -> wire.Push:
        named = dict.fromkeys(key[2] for key in tallies)
        known = self._known
        return wire.Push(
            **cast(Any, columns_of(tallies)),
            agent=self._agent,
            sequence=sequence,
            lost=dict(lost),
            executions=ExecutionColumns.of(executions) if executions else UNSET,
            shapes=[shapes[shape] for shape in named if shape not in known],
            schemas=[schema] if schema.id not in known and 0 < len(schema.sdl) <= LARGEST_SCHEMA else [],
        )

    def _acknowledge(self, report: Sealed, answer: Answer) -> float:
        self.acknowledged += report.requests
        if self._sealed_on == self._day:
            self._known |= report.names
        self._interval = min(max(self._own_interval, answer.interval or 0), LONGEST_PAUSE)
        self._reports, self._attempts, self._refusals = self._reports[1:], 0, 0
        if self._reports:
            return 0.0
        if not self._saved:
            self._drop()
        if not self._more:
            self._settle(self._ticket)
        return 0.0 if self._more or self._flushed < self._flushes else self.pause()

    def _refuse(self, report: Sealed, pieces: tuple[Sealed, ...], answer: Answer) -> float:
        """Go on with its pieces, or without it.  What bears its agent's name gets new numbers."""
        if answer.status == 413:
            self._largest = max(self._largest // 2, 2**16)
        behind = self._reports[1:]
        same = [*pieces, *(other for other in behind if other.agent == report.agent)]
        agent = new_agent()
        same = [renumbered(other, agent, number) for number, other in enumerate(same, start=1)]
        self._reports = [*same, *(other for other in behind if other.agent != report.agent)]
        if report.agent == self._agent:
            self._agent, self._sequence = agent, len(same)
        self._attempts = self._refusals = 0
        if pieces:
            return 0.0
        if report.requests:
            self._recorder.lose("rejected", report.requests)
        self._recorder.give_back({}, {}, report.lost)
        if not self._reports and not self._saved:
            self._drop()
        return self.pause()

    def _doubt(self, uncertain: bool, retry_after: float | None) -> float:
        """The report is still to be sent; `uncertain` if this attempt may have been taken."""
        if uncertain:
            with self._guard:
                self._reports[0] = self._announced = replace(self._reports[0], uncertain=True)
        return self._back_off(retry_after)

    def _announce(self) -> None:
        """Before a report is sent for the first time, the disk has it, and says that it may have been sent."""
        if self._announced is self._reports[0]:
            return
        self._announced = self._reports[0]
        try:
            self._hold(open_too=self._saved or self._more)
        except OSError as exc:
            self._faults.note("spool", exc)
            self._drop()  # what is there may be sent under numbers that are used differently from now on

    def _save(self) -> bool:
        """If this fails, what the disk has is older than it would be, and as true."""
        try:
            self._hold(open_too=True)
        except OSError as exc:
            self._faults.note("spool", exc)
            return False
        return True

    def _hold(self, open_too: bool) -> None:
        if self._spool is None or self._left:
            return
        behind = self._open_reports() if open_too else []
        reports = [*self._reports, *behind]
        if self._reports and self._announced is self._reports[0]:
            reports[0] = replace(reports[0], uncertain=True)
        if reports:
            self._spool.hold(reports)
        else:
            self._spool.drop()
        self._saved = bool(behind)

    def _open_reports(self) -> list[Sealed]:
        """The open tallies as they would be sealed next, if nothing were to come."""
        self._recorder.analyse()
        reports: list[Sealed] = []
        for tallies, shapes, lost, executions in self._recorder.copies(self._bounds.tallies):
            while tallies or lost or executions:
                number = self._sequence + len(reports) + 1
                report, tallies = self._packed(tallies, shapes, lost, executions, number)
                reports.append(report)
                lost, executions = {}, {}
        return reports

    def _adopt(self) -> list[Sealed]:
        """What a dead process left in the spool, a file at a time."""
        if self._spool is None or not self._spool.empty or time.monotonic() < self._adopt_due:
            return []
        self._adopt_due = time.monotonic() + ADOPT_EVERY
        reports: list[Sealed] = []
        try:
            reports = self._spool.adopt()
        except OSError as exc:
            self._faults.note("spool", exc)
        except RejectRecord as exc:
            self._faults.note(exc.reason, str(exc))
            self._recorder.lose("spool", 1, recorded=1)  # how many they were, nobody knows
            self._adopt_due = 0.0
        for report in reports:
            self._recorder.take_over(report.requests, report.lost)
        if reports:
            self._adopt_due = 0.0  # there may be more files
            self._more = True  # and own requests
        return reports

    def _drop(self) -> None:
        if self._spool is not None:
            try:
                self._spool.drop()
            except OSError as exc:
                self._faults.note("spool", exc)

    def _back_off(self, retry_after: float | None) -> float:
        """Full jitter: any part of a pause that doubles; never before the collector's own time."""
        longest = min(self._bounds.last_pause, self._bounds.first_pause * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 30)
        return max(random.uniform(0, longest), min(retry_after or 0.0, LONGEST_PAUSE))

    def _settle(self, ticket: int) -> None:
        with self._changed:
            self._flushed = max(self._flushed, ticket)
            self._changed.notify_all()
