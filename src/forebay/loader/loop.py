"""The exactly-once loop.

For each partition, in this order and never another:
1. *gather* records until a batch is worth inserting;
2. *declare*: commit the end of what is done, with the next range as the commit's metadata;
3. *insert* the range's block under the token that names the range;
4. *confirm*: the next commit, which declares the next range, or none when there is nothing.

Whoever gets the partition after a crash reads the commit: if a range is declared, exactly this
range is read and inserted again, under the same token, which the store takes for what it is.

With each commit goes a word for people: how fast this loader goes, and why.  While inserts fail
there is nothing to commit; then one commit is made again as it is, now and then, for its word.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..core.intent import Range, Word, from_metadata, to_metadata
from ..core.sequences import Sequences, from_text
from ..errors import RetryLater, Stop
from ..journal.port import Assigned, Consumer, Fetched, Lost, Partition
from ..steps import reached
from ..store.port import AgentKey, Origin, Store
from ..store.rebuilds import unfinished
from .block import Block, build, loss, table_of, token
from .pace import Pace

AWAKE = 60.0
"""Seconds after a poll within which an insert may begin: much less than the store remembers tokens for."""


SAY_EVERY = 5.0
"""Seconds between commits that are made again for their word."""


@dataclass(slots=True)
class _Held:
    """A partition that is ours; what is known of it, once it is taken over."""

    partition: Partition
    origin: Origin
    assigned: Assigned | None  # until then
    next: int = 0  # everything below is in the store
    declared: Range | None = None
    confirmed: bool = True
    lost: Range | None = None  # what retention took before it was loaded, to be put on record
    seen: dict[AgentKey, Sequences] = field(default_factory=dict)
    buffer: list[Fetched] = field(default_factory=list)
    size: int = 0
    since: float = 0.0  # when the oldest record of the buffer was gathered
    block: Block | None = None  # built for the declared range, insert not yet known to have worked


@dataclass(slots=True)
class Progress:
    """What the loader did since it started; read by `status`."""

    records: int = 0
    requests: int = 0
    dead_letters: int = 0
    inserts: int = 0
    lost_records: int = 0  # that retention took before they were loaded
    trouble: str = ""  # why the last attempt failed; empty when it worked
    pace: str = ""  # the pace in force and its reason


class Loader:
    """Runs the loop over every partition that the consumer is given.  Used from one thread."""

    def __init__(
        self,
        consumer: Consumer,
        store: Store,
        pipeline: str,
        pace: Pace,
        clock: Callable[[], float],
        progress: Progress | None = None,
        *,
        rebuilding: bool = False,
        name: str = "loader",
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`rebuilding`: this loader serves a rebuild; any other one waits for one that is unfinished."""
        self._consumer = consumer
        self._store = store
        self._pipeline = pipeline
        self._pace = pace
        self._clock = clock
        self._rebuilding = rebuilding
        self._held: dict[Partition, _Held] = {}
        self._polled = clock()
        self._said = clock()
        self._name = name
        self._wall = wall
        self.progress = progress or Progress()

    def run_for(self, stopping: threading.Event, seconds: float) -> None:
        """For a while, or until `stopping` is set.  What is declared and not inserted then is replayed later."""
        until = self._clock() + seconds
        while not stopping.is_set() and self._clock() < until:
            try:
                self.step()
                if not self._pace.failing:
                    self.progress.trouble = ""
            except RetryLater as exc:
                self.progress.trouble = str(exc)
                stopping.wait(exc.retry_after)

    def drain(self, within: float = math.inf) -> None:
        """Load and confirm everything that is in the journal now, as far as it can be done in so many seconds."""
        until = self._clock() + within
        while self._clock() < until and self.step(final=True):
            pass

    def settle(self) -> frozenset[Partition]:
        """Gather nothing more; insert and confirm what is declared.  Of which partitions this is done, so far."""
        self.step(final=True, settling=True)
        settled = (held for held in self._held.values() if not held.assigned and not held.declared and held.confirmed)
        return frozenset(held.partition for held in settled)

    def step(self, final: bool = False, settling: bool = False) -> bool:
        """Poll once, and bring each partition as far as it goes.  False when there was nothing to do."""
        full = frozenset(
            held.partition
            for held in self._held.values()
            if self._full(held) or (settling and not held.assigned and not _incomplete(held))
        )
        busy = any(held.buffer or not held.confirmed for held in self._held.values())
        wait = 0.0 if final else self._pace.wait(busy, self._clock())
        polled = self._consumer.poll(wait, paused=full)
        for partition in polled.dropped:
            self._held.pop(partition, None)
        for assigned in polled.assigned:
            topic, number = assigned.partition
            origin = Origin(self._pipeline, topic, assigned.topic_id, number)
            self._held[assigned.partition] = _Held(assigned.partition, origin, assigned)
        now = self._polled = self._clock()
        for partition, records in polled.records.items():
            self._gather(self._held[partition], records, now)
        self._say_again(now)
        # The longest wait first: where all share one interval, a busy partition must not starve the others.
        for held in sorted(self._held.values(), key=lambda held: held.since):
            try:
                self._advance(held, final, settling)
            except Lost:
                self._held.pop(held.partition, None)
        self.progress.pace = self._pace.why
        left = any(held.buffer or not held.confirmed for held in self._held.values())
        return bool(polled.assigned or polled.records or left)

    def _full(self, held: _Held) -> bool:
        """What waits for the rest of its range is never full: nothing else can free its buffer."""
        return not _incomplete(held) and self._pace.full(held.size, len(self._held))

    def _take_over(self, held: _Held, assigned: Assigned) -> None:
        """Learn where to go on.  RetryLater while the store can't tell; nothing is changed then."""
        if not self._rebuilding and (rebuild := unfinished(self._store)):
            raise RetryLater(str(rebuild), retry_after=5, reason="rebuild")
        topic, number = held.partition
        low, high = assigned.bounds
        committed, declared = assigned.committed, None
        if committed:
            start, declared = committed.offset, from_metadata(committed.metadata, assigned.topic_id, held.origin.epoch)
        else:  # never loaded, or the commit has vanished: then the ledger knows
            start = self._store.loaded(held.origin)
        if start < low:  # retention was faster; what was declared may be in the store all the same
            start, declared = max(start, self._store.loaded(held.origin)), None
        if start > high:
            raise Stop(f"{topic}[{number}] holds offsets {low} to {high}, the loader stands at {start}: data was lost")
        end = declared.end if declared else start
        seen = {}
        for key, state in self._store.seen(held.origin).items():
            if state.last >= end or state.first < start <= state.last:
                raise Stop(f"the store is ahead of {topic}[{number}]: it has offset {state.last}, committed is {start}")
            seen[key] = from_text(state.after if state.last < start else state.before)
        held.assigned, held.next, held.declared, held.seen = None, start, declared, seen
        held.confirmed = declared is None and start == (committed.offset if committed else 0)
        held.lost = Range(start, low) if start < low else None
        held.buffer = [record for record in held.buffer if record.offset >= start]
        held.size = sum(len(record.value) for record in held.buffer)

    def _gather(self, held: _Held, records: Sequence[Fetched], now: float) -> None:
        if not held.buffer:
            held.since = now
        if records[0].offset < held.next:  # a journal without a commit begins where its log does
            records = [record for record in records if record.offset >= held.next]
        held.buffer += records
        held.size += sum(len(record.value) for record in records)

    def _advance(self, held: _Held, final: bool, settling: bool) -> None:
        if held.assigned:
            self._take_over(held, held.assigned)
        if held.lost and held.buffer:
            self._record_loss(held, held.lost)
        if settling and held.declared is None:
            held.buffer, held.size = [], 0  # the next loader reads it again
        now = self._clock()
        ready = final or self._pace.ready(held.partition.topic, now)
        if held.declared is None:
            if held.buffer and (final or (ready and self._pace.ripe(held.size, now - held.since))):
                reached("loader.gathered")
                self._commit(held, Range(held.next, self._end(held)))
                reached("loader.declared")
            elif not held.confirmed and not held.buffer:
                self._commit(held, None)
        if held.declared and ready and not _incomplete(held):
            self._insert(held, held.declared)

    def _end(self, held: _Held) -> int:
        """Where a batch ends: the offset behind the last record that it has room for, one at least."""
        if held.size <= self._pace.batch:
            return held.buffer[-1].offset + 1
        ends = itertools.accumulate(len(record.value) for record in held.buffer)
        room = sum(end <= self._pace.batch for end in ends)
        return held.buffer[max(room, 1) - 1].offset + 1

    def _insert(self, held: _Held, declared: Range) -> None:
        count = declared.end - declared.first
        records = held.buffer[:count]
        if records[0].offset != declared.first or records[-1].offset != declared.end - 1:
            raise Stop(f"{held.partition.topic} lacks a part of the declared range {declared}: data was lost")
        if held.block is None:
            held.block = build(held.origin, records, held.seen)
        reached("loader.prepared")
        if self._clock() - self._polled > AWAKE:
            return  # this process was stopped meanwhile: the partition may be another's by now, a poll tells
        self._feed(held, held.block)
        reached("loader.inserted")
        held.seen |= held.block.seen
        self.progress.inserts += 1
        self.progress.records += held.block.records
        self.progress.requests += held.block.requests
        self.progress.dead_letters += held.block.dead_letters
        held.block, held.declared, held.confirmed = None, None, False
        held.next = declared.end
        del held.buffer[:count]
        held.size = sum(len(record.value) for record in held.buffer)
        held.since = self._clock()

    def _record_loss(self, held: _Held, lost: Range) -> None:
        """Say in the ledger what will never be loaded, in the same order of steps as an insert.

        The token is that of the range: had it been inserted in an earlier life, this changes nothing.
        """
        self._commit(held, lost)
        row = loss(held.origin, lost.first, lost.end, held.buffer[0].appended)
        self._store.insert(table_of(held.origin.topic), [row], token(held.origin, lost.first, lost.end))
        self.progress.lost_records += lost.end - lost.first
        held.lost, held.declared, held.confirmed, held.next = None, None, False, lost.end

    def _feed(self, held: _Held, block: Block) -> None:
        """Insert, and see how the store takes it."""
        began = self._clock()
        try:
            for table, rows in block.inserts():
                self._store.insert(table, rows, block.token)
                reached("loader.sent")
        except RetryLater as exc:
            held.since = self._clock()  # the others come first, once the pause is over
            self._pace.failed(exc.reason, held.since)
            self.progress.pace = self._pace.why
            raise
        now = self._clock()
        parts = None
        if self._pace.curious:
            with contextlib.suppress(RetryLater):
                parts = self._store.parts()
        backlog = sum(each.size for each in self._held.values())
        self._pace.inserted(held.partition.topic, began, now, block.weight, parts, backlog)

    def _commit(self, held: _Held, declared: Range | None) -> None:
        self._consumer.commit(held.partition, held.next, self._metadata(held, declared))
        held.declared, held.confirmed = declared, True
        if declared is None:
            reached("loader.confirmed")

    def _metadata(self, held: _Held, declared: Range | None) -> str:
        self._said = self._clock()
        word = Word(int(self._wall()), self._name, self._pace.trouble, self._pace.why)
        return to_metadata(held.origin.topic_id, declared, held.origin.epoch, word)

    def _say_again(self, now: float) -> None:
        """While inserts fail: one of our commits once more, with the word of now.

        A range that is declared stands in the group's commit exactly as it is held here, so nothing else changes.
        """
        declared = next((held for held in self._held.values() if held.declared), None)
        if declared is None or not self._pace.failing or now < self._said + SAY_EVERY:
            return
        try:
            self._consumer.commit(declared.partition, declared.next, self._metadata(declared, declared.declared))
        except Lost:
            self._held.pop(declared.partition)


def _incomplete(held: _Held) -> bool:
    """Is a range declared that has not wholly been read (again)?"""
    return bool(held.declared and (not held.buffer or held.buffer[-1].offset < held.declared.end - 1))
