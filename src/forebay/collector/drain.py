"""From the spill to the journal: in order, many in flight, again and again until all is confirmed.

Frames are sent in batches, so that a record costs less here than on its way past the spill: a
drain that catches up needs that.  The first batch goes alone, until the journal has shown that it
works.  When it fails one, the others in flight are waited for, then the oldest failed one alone
is tried with growing pauses until it is taken; so an ailing journal is not hammered, and what it
failed is the first that it gets.  What it refuses by itself, however often it is asked, is taken
apart; a record that it refuses alone is counted and left in its segment, which is put aside, and
those behind it go on.  A batch that failed may be in the journal all the same, and is
sent again: the repeat rule counts its reports once.
"""

from __future__ import annotations

import heapq
import math
import os
import queue
import random
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import structlog

from ..errors import RejectRecord, RetryLater
from ..journal.port import TOO_LARGE, Appender, Message
from ..metrics import SPILL_REFUSED
from ..steps import reached
from .frames import Frame, read
from .segments import Segment, Segments

log = structlog.get_logger()

BATCH_BYTES = 2**18
WINDOW_BYTES = 2**22
"""In flight at most: enough for 40 MiB/s at 100 ms, and all that a spill holds in memory."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


@dataclass(slots=True, order=True)
class _Batch:
    """Consecutive frames of one segment; sorted by the order in which they were read."""

    order: tuple[int, int]
    segment: Segment = field(compare=False)
    frames: list[Frame] = field(compare=False, default_factory=list)
    size: int = field(compare=False, default=0)
    sent: float = field(compare=False, default=0.0)
    alone: bool = field(compare=False, default=False)  # under way without any other

    @property
    def messages(self) -> list[Message]:
        return [message for frame in self.frames for message in frame.messages]

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.size += frame.end - frame.start


class Drain:
    """Used from one thread; only `nudge` may come from others."""

    def __init__(self, journal: Appender, segments: Segments) -> None:
        self._journal = journal
        self._segments = segments
        self._settled: queue.SimpleQueue[tuple[_Batch, BaseException | None] | None] = queue.SimpleQueue()
        self._again: list[_Batch] = []  # a heap
        self._flying: dict[tuple[int, int], _Batch] = {}  # by order, which is the order in which they were sent first
        self._order = 0
        self._failures = 0  # in a row
        self._failed = 0.0  # when it failed last
        self._not_before = 0.0
        self._reading: Segment | None = None
        self._file = -1
        self._position = 0
        self.trouble = ""  # why the journal failed the latest attempt
        self.refused = 0  # records that it does not take
        self.latency = math.inf  # seconds that the latest batch took, as long as there is one after the other

    def nudge(self) -> None:
        """There is something new to be read."""
        self._settled.put(None)

    @property
    def waiting(self) -> int:
        """Bytes that the journal has not confirmed."""
        return sum(segment.durable - segment.drained - segment.damaged for segment in self._segments.live)

    @property
    def failing(self) -> bool:
        """Did the journal fail the latest attempt?"""
        return self._failures > 0

    def step(self, timeout: float) -> None:
        """Send what may be sent, and wait up to `timeout` seconds for the journal or for news."""
        while batch := self._sendable():
            self._send(batch)
        if not self._flying:
            self.latency = math.inf
        wait = timeout
        if self._failures and not self._flying:
            wait = min(timeout, max(0.0, self._not_before - time.monotonic()))
        try:
            event = self._settled.get(timeout=wait)
            while True:
                if event:
                    self._settle(*event)
                event = self._settled.get_nowait()
        except queue.Empty:
            pass
        self._finish()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _sendable(self) -> _Batch | None:
        if self._failures:
            ready = self._again and not self._flying and time.monotonic() >= self._not_before
            return heapq.heappop(self._again) if ready else None
        window = WINDOW_BYTES if self.latency < math.inf else 1
        if sum(batch.size for batch in self._flying.values()) >= window:
            return None
        return heapq.heappop(self._again) if self._again else self._read()

    def _send(self, batch: _Batch) -> None:
        batch.sent, batch.alone = time.monotonic(), self.failing
        self._flying[batch.order] = batch
        try:
            sent = self._journal.append(batch.messages)
        except Exception as exc:  # whatever it was: the batch stays where it is, and is tried again
            self._settled.put((batch, exc))
        else:
            sent.add_done_callback(partial(self._note, batch))

    def _note(self, batch: _Batch, sent: Future[None]) -> None:
        if sent.exception() is None:
            reached("spill.confirmed")
        self._settled.put((batch, sent.exception()))

    def _settle(self, batch: _Batch, exc: BaseException | None) -> None:
        del self._flying[batch.order]
        if exc and batch.alone and _refused(exc):
            self._take_apart(batch, exc)
            return
        if exc:
            heapq.heappush(self._again, batch)
            if batch.sent >= self._failed:  # else it was sent together with one that has failed already
                self._back_off(exc)
            return
        if batch.sent >= self._failed:
            self._failures, self.trouble = 0, ""
        self.latency = time.monotonic() - batch.sent
        self._done(batch)

    def _done(self, batch: _Batch) -> None:
        segment = batch.segment
        segment.drained += batch.size
        segment.drained_records += len(batch.frames)
        others = (other for other in (*self._flying.values(), *self._again) if other.segment is segment)
        segment.oldest = min((other.frames[0].written for other in others), default=batch.frames[0].written)

    def _take_apart(self, batch: _Batch, exc: BaseException) -> None:
        """Which of its frames is it that the journal refuses?"""
        self._not_before = 0.0  # it answers: there is nothing to wait for
        if len(batch.frames) > 1:
            for number, frame in enumerate(batch.frames, start=1):
                heapq.heappush(self._again, single := _Batch((batch.order[0], number), batch.segment))
                single.add(frame)
            return
        self._failures, self.trouble = 0, ""
        self.refused += 1
        batch.segment.refused += 1
        SPILL_REFUSED.inc()
        self._done(batch)
        log.error("the journal refuses a record of the spill", file=str(batch.segment.path), reason=str(exc))

    def _back_off(self, exc: BaseException) -> None:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1)
        self._failures += 1
        self._failed = time.monotonic()
        self.trouble = str(exc)
        self._not_before = self._failed + pause
        log.warning("the journal does not take the spill", reason=str(exc), again_in_seconds=round(pause, 2))

    def _finish(self) -> None:
        for segment in self._segments.live:
            if not segment.sealed or segment.drained + segment.damaged < segment.durable:
                return
            if segment is self._reading:
                self.close()
                self._reading = None
            self._segments.finish(segment)

    def _unread(self) -> Segment | None:
        """The segment in which the next frames are; None if there are none."""
        live = self._segments.live
        if self._reading in live:
            live = live[live.index(self._reading) :]
        for segment in live:
            if segment is not self._reading or self._position < segment.durable:
                return segment if segment.durable else None
        return None

    def _read(self) -> _Batch | None:
        """The next frames, up to a batch's size; what can't be read is passed over and counted."""
        while segment := self._unread():
            if segment is not self._reading:
                self.close()
                self._file = os.open(segment.path, os.O_RDONLY)
                self._reading, self._position = segment, 0
            self._order += 1
            batch = _Batch((self._order, 0), segment)
            end = segment.durable
            while self._position < end and batch.size < BATCH_BYTES:
                found = read(self._file, self._position, end)
                segment.damaged += (found.start if found else end) - self._position
                self._position = found.end if found else end
                if found:
                    batch.add(found)
            if batch.frames:
                return batch
        return None


def _refused(exc: BaseException) -> bool:
    """Is it about what was appended, rather than about the journal?  ValueError: a topic that it does not have."""
    return isinstance(exc, (RejectRecord, ValueError)) or (isinstance(exc, RetryLater) and exc.reason == TOO_LARGE)
