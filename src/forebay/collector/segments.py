"""The spill's directory: segments that are written, read and deleted in order, by one process at a time.

- What `write` reports as done survives SIGKILL and the loss of power: file and directory are fsynced.
- Opening finds what an earlier process left, and cuts off the torn end of what it was writing.
- All segments together stay within a bound.  A full disk is the same as a reached bound.
- A segment with damage is renamed to `….damaged` in the end, for people, instead of deleted.
- One with records that the journal refuses for good is renamed to `….refused`, counts towards the
  bound, and is a segment again at the next start: what the journal took of it counts once.

One thread writes, one reads and deletes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from ..errors import RetryLater, Stop
from ..journal.port import Message
from ..metrics import SPILL_DAMAGED
from ..steps import reached
from .frames import OVERHEAD, frame, payload, read

log = structlog.get_logger()

LAYOUT = "forebay spill directory, layout 1\n"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RETRY_AFTER = 10.0
REFUSED = ".refused"


@dataclass(slots=True, eq=False)
class Segment:
    """One file.  `durable` and `sealed` are the writer's, the rest the reader's."""

    path: Path
    oldest: int  # when the oldest frame that is not drained was written, in ms
    durable: int = 0  # bytes
    records: int = 0
    sealed: bool = False  # nothing will be added
    drained: int = 0  # bytes
    drained_records: int = 0
    damaged: int = 0  # bytes
    refused: int = 0  # records, of those drained, that the journal does not take


class Segments:
    """`segment_bytes`: where a new file begins; a larger append has a file of its own.  `total_bytes`: the bound."""

    def __init__(self, directory: Path, segment_bytes: int, total_bytes: int, clock: Callable[[], float]) -> None:
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._total_bytes = total_bytes
        self._clock = clock
        self._live: deque[Segment] = deque()
        self._file = -1  # of the segment that is being written
        self._aside = 0  # bytes of refused segments
        try:
            self._lock = _locked(directory)
            self._next = self._recover() + 1
        except OSError as exc:
            raise Stop(f"the spill in {directory} cannot be used: {exc.strerror}") from exc

    @property
    def live(self) -> tuple[Segment, ...]:
        """Those that are not wholly drained, oldest first."""
        return tuple(self._live)

    def write(self, appends: Sequence[Sequence[Message]]) -> list[RetryLater | None]:
        """Make appends durable, as many as fit a segment by one fsync: for each None, or why it is not kept."""
        outcomes: list[RetryLater | None] = []
        batch: list[bytes] = []
        left = self._total_bytes - self._aside - sum(segment.durable for segment in self.live)
        room = self._room()
        for messages in appends:
            body = payload(messages)
            size = OVERHEAD + len(body)
            if size > left:
                outcomes += [*self._flush(batch), _refusal(f"it holds {self._total_bytes // 2**20} MiB", full=True)]
                batch, room = [], self._room()
                continue
            if size > room and (batch or self._file >= 0):
                outcomes += self._flush(batch)
                self.seal()
                batch, room = [], self._segment_bytes
            batch.append(body)
            left, room = left - size, room - size
        return outcomes + self._flush(batch)

    def seal(self) -> None:
        """Add no more to the segment that is being written."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._live[-1].sealed = True

    def finish(self, segment: Segment) -> None:
        """The journal has all of the oldest segment that can be read and that it takes: delete it, or put it aside."""
        reached("spill.drained")
        if segment.refused:
            self._aside += segment.durable
            segment.path.rename(segment.path.with_suffix(REFUSED))
        elif segment.damaged:
            aside = segment.path.with_suffix(".damaged")
            segment.path.rename(aside)
            SPILL_DAMAGED.inc(segment.damaged)
            log.error("a part of the spill could not be read", file=str(aside), bytes=segment.damaged)
        else:
            segment.path.unlink()
        self._live.popleft()
        reached("spill.deleted")

    def close(self) -> None:
        """Let go of the directory; what is in it stays."""
        self.seal()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _room(self) -> int:
        return self._segment_bytes - (self._live[-1].durable if self._file >= 0 else 0)

    def _flush(self, batch: list[bytes]) -> list[RetryLater | None]:
        if not batch:
            return []
        now = int(self._clock() * 1000)
        try:
            if self._file < 0:
                self._begin(now)
            segment = self._live[-1]
            data = b"".join(frame(body, segment.durable, now) for body in batch)
            _write_all(self._file, data)
            reached("spill.written")
            os.fsync(self._file)
        except OSError as exc:
            log.error("the spill cannot be written", directory=str(self.directory), reason=exc.strerror)
            self._give_up()
            return [_refusal(str(exc.strerror), full=exc.errno in FULL)] * len(batch)
        segment.records += len(batch)
        segment.durable += len(data)
        reached("spill.durable")
        return [None] * len(batch)

    def _begin(self, now: int) -> None:
        path = self.directory / f"{self._next:012}.spill"
        self._next += 1
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._live.append(Segment(path, oldest=now))
        _sync_directory(self.directory)

    def _give_up(self) -> None:
        """After a failed write or fsync nobody knows what of it is on disk: a file like that is not added to."""
        if self._file < 0:
            return
        segment = self._live[-1]
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, segment.durable)
        self.seal()
        if not segment.durable:
            self._live.remove(segment)
            with contextlib.suppress(OSError):
                segment.path.unlink()

    def _recover(self) -> int:
        """Take up what is there; the highest number in use."""
        for path in self.directory.glob(f"*{REFUSED}"):
            path.rename(path.with_suffix(".spill"))  # perhaps the journal takes it now
        paths = sorted(path for path in self.directory.glob("*.spill") if path.stem.isdecimal())
        for path in paths:
            if segment := _recovered(path, last=path == paths[-1]):
                self._live.append(segment)
            else:
                path.unlink()
        if records := sum(segment.records for segment in self._live):
            log.info("an earlier process left records in the spill", directory=str(self.directory), records=records)
        numbers = [int(path.stem) for path in self.directory.iterdir() if path.stem.isdecimal()]
        return max(numbers, default=0)


def _recovered(path: Path, last: bool) -> Segment | None:
    """A segment of an earlier process, without a torn end; None if nothing is left."""
    segment = Segment(path, oldest=0, durable=path.stat().st_size, sealed=True)
    whole = whole_records = 0  # how far frames reach without a hole
    durable = position = 0
    file = os.open(path, os.O_RDWR)
    try:
        while found := read(file, position, segment.durable):
            segment.oldest = segment.oldest or found.written
            segment.records += 1
            if found.start == whole:
                whole, whole_records = found.end, segment.records
            durable, position = max(durable, found.durable), found.end
        if last and durable <= whole < segment.durable:
            os.ftruncate(file, whole)
            os.fsync(file)
            segment.durable, segment.records = whole, whole_records
    finally:
        os.close(file)
    return segment if segment.durable else None


def _locked(directory: Path) -> int:
    """The directory, made if need be, and kept from every other process for as long as this file is open."""
    if not directory.is_dir():
        directory.mkdir(parents=True)
        _sync_directory(directory.parent)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Stop(f"another collector spills to {directory}: give each a directory of its own") from None
    if (text := os.pread(lock, 100, 0).decode(errors="replace")) not in ("", LAYOUT):
        os.close(lock)
        raise Stop(f"{directory} was made by a newer Forebay ({text.strip()!r}): upgrade to open it")
    os.pwrite(lock, LAYOUT.encode(), 0)
    return lock


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _refusal(why: str, full: bool) -> RetryLater:
    reason = "spill_full" if full else "spill_broken"
    return RetryLater(f"the journal is away and the collector's disk takes no more: {why}", RETRY_AFTER, reason)
