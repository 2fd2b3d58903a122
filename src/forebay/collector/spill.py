"""What the collector does while the journal is slow or away: write to its own disk, acknowledge, drain later.

A Spill stands before a journal and promises the same: an append whose future has a result is
durable, in the journal or here.  In one of three modes:

- *direct*: appends go to the journal.  One that it fails, or has not confirmed within `after`
  seconds, is spilled: it may be in the journal too, and the repeat rule counts it once.
- *spilling*: from then on all appends go to the disk, where one fsync serves many, while what is
  there is drained in order behind them.
- *holding*: the drain has caught up.  New appends wait, in memory and for at most `after / 2`,
  until the journal has confirmed the last of the spill; then they follow, and all is direct
  again.  Without this moment a collector under load would never come to an end of spilling.

So an append reaches the journal after every append that was acknowledged before it was made,
except one that the journal itself has failed.  Nothing is in memory but what is not acknowledged
yet and what is on its way to the journal (`drain.WINDOW_BYTES`).
"""

from __future__ import annotations

import enum
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from ..errors import RetryLater
from ..journal.port import Appender, Message
from ..metrics import SPILL_AGE, SPILL_BYTES, SPILL_RECORDS, SPILLED
from .drain import WINDOW_BYTES, Drain
from .segments import Segments

log = structlog.get_logger()

MIB = 2**20
GROUP_BYTES = 8 * MIB
"""Written by one fsync at most."""


class Mode(enum.Enum):
    DIRECT = enum.auto()
    SPILLING = enum.auto()
    HOLDING = enum.auto()


@dataclass(frozen=True, slots=True)
class Left:
    """What the journal does not have yet, and where it is; the next collector on this directory drains it."""

    records: int
    bytes: int
    directory: Path
    refused: int  # records in `….refused`, beside those


@dataclass(slots=True, eq=False)
class _Append:
    messages: Sequence[Message]
    since: float
    done: Future[None] = field(default_factory=Future)


@dataclass(slots=True, eq=False)
class _Mark:
    """Stands in the writer's queue where holding began."""

    passed: bool = False


class Spill:
    """An `Appender` before another.  Safe to share between threads; calls of `append` don't block.

    `after`: seconds that the journal may take; `segment_bytes`, `total_bytes`: see `Segments`.
    Stop if the directory is another collector's.
    """

    def __init__(
        self,
        journal: Appender,
        directory: Path,
        after: float = 2.0,
        segment_bytes: int = 64 * MIB,
        total_bytes: int = 1024 * MIB,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._after = after
        self._clock = clock
        self._segments = Segments(directory, segment_bytes, total_bytes, clock)
        self._drain = Drain(journal, self._segments)
        self._inbox: queue.SimpleQueue[_Append | _Mark] = queue.SimpleQueue()
        self._direct: set[_Append] = set()  # sent, not settled; changed without the lock, by single steps
        self._lock = threading.RLock()  # of the mode; the journal's callbacks never wait for it
        self._mode = Mode.SPILLING if self._segments.live else Mode.DIRECT
        self._held: list[_Append] = []
        self._mark = _Mark()
        self._hold_until = self._not_hold_before = 0.0
        self._closing = False
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, name="spill-writer", daemon=True),
            threading.Thread(target=self._drain_on, name="spill-drain", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def trouble(self) -> str:
        """Why the journal does not take what is spilled, and what it will never take; empty if all is well."""
        refused = self._drain.refused
        kept = f"it refuses {refused:,} reports, which are kept in {self._segments.directory}" if refused else ""
        return "; ".join(filter(None, (self._drain.trouble, kept)))

    def append(self, messages: Sequence[Message]) -> Future[None]:
        """Durable, in the journal or on this disk, when the future has a result; RetryLater otherwise."""
        append = _Append(messages, time.monotonic())
        append.done.set_running_or_notify_cancel()  # nobody can take back what may be on its way already
        with self._lock:
            if self._closing:
                append.done.set_exception(RetryLater("the collector is shutting down", retry_after=2))
            elif self._mode is Mode.DIRECT:
                self._send(append)
            elif self._mode is Mode.HOLDING:
                self._held.append(append)
            else:
                self._inbox.put(append)
        return append.done

    def close(self, within: float = 10.0) -> Left:
        """Take no more, drain for at most so many seconds, and let go of the directory.

        What neither the journal nor the disk has by then is failed.
        """
        with self._lock:
            self._closing = True
        until = time.monotonic() + within
        while time.monotonic() < until and not self._idle():
            time.sleep(0.01)
        with self._lock:
            self._begin_spilling()
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._drain.close()
        self._segments.close()
        left = self._left()
        self._tell()
        if left.records:
            log.warning(
                "records are left in the spill", records=left.records, bytes=left.bytes, directory=str(left.directory)
            )
        return left

    def _idle(self) -> bool:
        with self._lock:
            return self._mode is Mode.DIRECT and not self._direct and self._inbox.empty()

    def _send(self, append: _Append) -> None:
        self._direct.add(append)
        try:
            sent = self._journal.append(append.messages)
        except Exception as exc:
            sent = Future()
            sent.set_exception(exc)
        sent.add_done_callback(partial(self._settle, append))

    def _settle(self, append: _Append, sent: Future[None]) -> None:
        """In a thread of the journal's: what it says of an append, unless the writer has taken that already."""
        try:
            self._direct.remove(append)
        except KeyError:
            return
        exc = sent.exception()
        if exc is None:
            append.done.set_result(None)
        elif isinstance(exc, RetryLater):
            self._inbox.put(append)
        else:
            append.done.set_exception(exc)

    def _write(self) -> None:
        while not (self._stopping.is_set() and self._inbox.empty() and not self._direct):
            group, mark = self._gather()
            if group:
                self._spill(group)
            if mark:
                self._segments.seal()  # so that all of it can be finished
                mark.passed = True
            if group or mark:
                self._drain.nudge()

    def _gather(self) -> tuple[list[_Append], _Mark | None]:
        """What waits to be written, up to a group's size or a mark; and what the journal is too slow with."""
        group, size = self._overdue(), 0
        try:
            item = self._inbox.get(timeout=0 if group else self._after / 8)
            while isinstance(item, _Append):
                group.append(item)
                size += sum(len(message.value) for message in item.messages)
                if size >= GROUP_BYTES:
                    return group, None
                item = self._inbox.get_nowait()
        except queue.Empty:
            return group, None
        return group, item

    def _overdue(self) -> list[_Append]:
        latest = time.monotonic() - (0 if self._stopping.is_set() else self._after)
        overdue = []
        for append in sorted(self._direct, key=lambda append: append.since):
            if append.since > latest:
                break
            try:
                self._direct.remove(append)
            except KeyError:
                continue  # the journal was quicker
            overdue.append(append)
        return overdue

    def _spill(self, group: list[_Append]) -> None:
        with self._lock:
            self._begin_spilling()
        try:
            outcomes: Sequence[Exception | None] = self._segments.write([append.messages for append in group])
        except Exception as exc:  # a fault of ours; the thread that all others wait for has to go on
            log.exception("the spill failed", directory=str(self._segments.directory))
            outcomes = [exc] * len(group)
        for append, refusal in zip(group, outcomes, strict=True):
            append.messages = ()  # the journal may keep the append for long
            if refusal:
                append.done.set_exception(refusal)
            else:
                SPILLED.inc()
                append.done.set_result(None)

    def _begin_spilling(self) -> None:
        if self._mode is not Mode.SPILLING:
            self._mode = Mode.SPILLING
            self._not_hold_before = time.monotonic() + self._after
        for append in self._held:
            self._inbox.put(append)
        self._held = []

    def _drain_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self._drain.step(timeout=min(0.5, self._after / 8))
            except Exception as exc:  # what is on disk stays there; the next attempt may work
                log.error("the spill cannot be drained", directory=str(self._segments.directory), reason=repr(exc))
                self._stopping.wait(1)
            self._hand_over()
            self._tell()

    def _hand_over(self) -> None:
        """From spilling to holding, and from there to direct or back."""
        now = time.monotonic()
        with self._lock:
            if self._mode is Mode.SPILLING:
                swift = self._drain.latency < self._after / 4 and self._drain.waiting <= WINDOW_BYTES
                if (swift or not self._drain.waiting) and not self._drain.failing and now >= self._not_hold_before:
                    self._mode, self._hold_until = Mode.HOLDING, now + self._after / 2
                    self._mark = _Mark()
                    self._inbox.put(self._mark)
            elif self._mode is Mode.HOLDING:
                if self._mark.passed and not self._segments.live:
                    self._mode, held, self._held = Mode.DIRECT, self._held, []
                    for append in held:
                        self._send(append)
                elif now >= self._hold_until or self._drain.failing:
                    self._begin_spilling()

    def _left(self) -> Left:
        live = self._segments.live
        return Left(
            sum(segment.records - segment.drained_records for segment in live),
            sum(segment.durable for segment in live),
            self._segments.directory,
            self._drain.refused,
        )

    def _tell(self) -> None:
        left = self._left()
        SPILL_RECORDS.set(left.records)
        SPILL_BYTES.set(left.bytes)
        oldest = min((segment.oldest for segment in self._segments.live), default=None)
        SPILL_AGE.set(0 if oldest is None else max(0.0, self._clock() - oldest / 1000))
