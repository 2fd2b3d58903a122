"""A rebuild: days of traffic are emptied and loaded again from the log, under a new epoch.

In this order and never another:
1. *look*: does the log still hold everything that was loaded into these days?  Else they are refused.
2. *note* it in the store: from now on loaders wait, and answers over these days are not complete;
   then make sure that nobody loads, and *settle* what some loader had declared.
3. *judge*: read all of it and build its blocks as for an insert, so that nothing is emptied that
   can't be filled again.
4. *empty* the days, *insert* them, *replace* what the ledger said of their ranges.  Finished.

Killed at any step and run again it begins anew, under the next epoch.  What was a repeat or a dead
letter when it was loaded first is one again; so the totals are the same, unless what this Forebay
makes of a record differs from what an earlier one did: that is what a rebuild is for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TypeVar

from ..core.record import SCHEMAS, SHAPES, TALLIES, TOPICS
from ..core.sequences import from_text
from ..errors import ForebayError, RetryLater, Stop
from ..journal.port import Consumer, Fetched, Journal, Partition
from ..steps import reached
from ..store.landing import EXECUTIONS, REPORTS
from ..store.port import Origin, Row, Store
from ..store.rebuilds import Rebuild, State, span, spans
from ..store.refill import DAY_ONE, Days, Ledgered, Refill
from .block import MINUTES_A_DAY, Block, Verdicts, build, table_of, token
from .loop import Loader
from .pace import Pace

T = TypeVar("T")

PAGE = 5_000
ATTEMPTS = 8
SETTLED_WITHIN = 60.0
TELL_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Requests by day: in the store before, and by what the log holds."""

    before: dict[date, int]
    after: dict[date, int]


class Rebuilding:
    """Rebuilds `days` on one journal and store.  Stop says why it can't be done, RetryLater why not now.

    `batch_bytes`: JSON bytes of records in an insert, twice which are held at a time; `tell` takes
    lines about the progress.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        refill: Refill,
        group: str,
        pipeline: str,
        batch_bytes: int,
        tell: Callable[[str], None],
    ) -> None:
        self._journal, self._store, self._refill = journal, store, refill
        self._group, self._pipeline = group, pipeline
        self._batch_bytes = batch_bytes
        self._tell = tell

    def plan(self, days: Days) -> Outcome:
        """What `run` would do.  Changes nothing."""
        self._look(days)
        return Outcome(self._refill.traffic(days), self._judge(days))

    def run(self, days: Days) -> Outcome:
        self._refill.keep_notes()
        self._look(days)
        self._alone()
        if (former := self._refill.latest()) and former.state is State.LOADED:
            self._finish(former.epoch, Days(former.first, former.last))
            former = self._refill.latest()
        before = self._refill.traffic(days)
        epoch = former.epoch + 1 if former else 1
        self._note(epoch, former.state if former and former.unfinished else State.BEGUN, days)
        reached("rebuild.noted")
        try:
            with closing(self._journal.consumer(self._group, TOPICS)) as consumer:
                after = self._prepare(days, consumer)
                self._fill(days, epoch, consumer, after)
                self._finish(epoch, days)
        except (ForebayError, KeyboardInterrupt) as exc:
            self._leave(days, exc)
            raise
        return Outcome(before, after)

    def give_up(self) -> Rebuild:
        """Let loaders go on after a rebuild that can't be finished.  Its days stay as they are, known as such."""
        self._refill.keep_notes()
        note = self._refill.latest()
        if note is None or not note.unfinished:
            raise Stop("no rebuild is unfinished")
        self._alone()
        days = Days(note.first, note.last)
        if note.state is State.LOADED:
            self._finish(note.epoch, days)
        elif note.state is State.BEGUN:
            self._note(note.epoch, State.WITHDRAWN, days)
        else:
            self._refill.forget()
            self._note(note.epoch, State.GIVEN_UP, days)
        return note

    def _look(self, days: Days) -> None:
        """Stop unless everything that made the days is in the log, and nothing else made them."""
        if "ledger" in self._refill.dropped():
            raise Stop("the ledger was dropped: without it nobody knows what was loaded; restore it from a backup")
        note = self._refill.latest()
        if note and note.unfinished and not (days.first <= note.first and note.last <= days.last):
            raise Stop(f"{note}, for these days at least")
        gone: dict[date, str] = {}
        topic_id = self._journal.topic_id(TALLIES)
        lows = {each.number: self._journal.bounds(each).low for each in self._journal.partitions(TALLIES)}
        sources = self._refill.sources(days)
        for source in sources:
            where = f"{TALLIES}[{source.partition}]"
            if source.pipeline != self._pipeline:
                why = f"the pipeline {source.pipeline!r} loaded into this store too"
            elif source.topic_id != topic_id or source.partition not in lows:
                why = f"some was loaded from a {where} that was deleted (its id was {source.topic_id})"
            elif source.first < (low := lows[source.partition]):
                why = f"{where} begins at offset {low:,} by now, what was loaded at {source.first:,}"
            else:
                continue
            gone.setdefault(source.day, why)
        known = {source.day for source in sources}
        for day, requests in self._refill.traffic(days).items():
            if day not in known:
                gone.setdefault(day, f"the store has {requests:,} requests that no loader of Forebay's has loaded")
        if gone:
            left = max(gone) + timedelta(days=1)
            rest = f"; {span(left, days.last)} can be rebuilt" if left <= days.last else ""
            listed = spans(sorted(gone))
            raise Stop(f"the log does not hold {listed} in full: of {min(gone)}, {gone[min(gone)]}{rest}")
        for partition, origin in self._origins(TALLIES, 0):
            committed = self._journal.committed(self._group, partition)
            if not self._refill.covers(origin, lows[partition.number], committed.offset if committed else None):
                raise Stop(
                    f"the ledger does not account for all that was loaded from {TALLIES}[{partition.number}]:"
                    " without it nobody knows what was a repeat; restore it from a backup"
                )

    def _alone(self) -> None:
        if members := self._journal.members(self._group):
            raise RetryLater(f"stop all loaders first; there are, or were until just now: {', '.join(members)}")

    def _prepare(self, days: Days, consumer: Consumer) -> dict[date, int]:
        """All that must be true before anything is emptied; requests by day that the log holds."""
        self._refill.restore()
        self._settle(consumer)
        reached("rebuild.settled")
        self._look(days)
        return self._judge(days)

    def _settle(self, consumer: Consumer) -> None:
        """Insert and confirm what loaders had declared, as the only one of their group."""
        loader = Loader(consumer, self._store, self._pipeline, Pace(), time.monotonic, rebuilding=True, name="rebuild")
        wanted = self._partitions()
        until = time.monotonic() + SETTLED_WITHIN
        trouble, settled = "", frozenset[Partition]()
        while not wanted <= settled:
            if time.monotonic() > until:
                missing = ", ".join(f"{topic}[{number}]" for topic, number in sorted(wanted - settled))
                raise RetryLater(f"could not take over {missing}: stop all loaders first{trouble}")
            try:
                settled, trouble = loader.settle(), ""
            except RetryLater as exc:
                trouble = f" ({exc})"
            time.sleep(0.05)

    def _fill(self, days: Days, epoch: int, consumer: Consumer, expected: dict[date, int]) -> None:
        """Empty the days and insert what the log holds of them."""
        self._note(epoch, State.EMPTYING, days)
        self._refill.empty(days)
        reached("rebuild.emptied")
        self._insert(days, epoch, consumer)
        if (found := self._refill.traffic(days)) != expected:
            raise RetryLater(f"the days hold {_sum(found)} requests and should hold {_sum(expected)}")
        self._note(epoch, State.LOADED, days)
        reached("rebuild.loaded")

    def _leave(self, days: Days, cause: BaseException) -> None:
        """Loaders may go on if nothing was emptied, neither by this run nor by an earlier one."""
        note = self._refill.latest()
        if note and note.state is State.BEGUN:
            self._note(note.epoch, State.WITHDRAWN, days)
        elif isinstance(cause, Stop):
            self._tell("the days are not whole; `forebay rebuild --give-up` lets loaders go on without them")

    def _judge(self, days: Days) -> dict[date, int]:
        """Stop unless what was loaded can be loaded again; requests by day."""
        requests: Counter[date] = Counter()
        for partition, origin in self._origins(TALLIES, 0):
            for ledgered, block, dead, _ in self._again(partition, origin, days):
                after = {key: from_text(text) for key, text in ledgered.after.items()}
                if block.seen != after or block.dead_letters != dead:
                    where = f"{TALLIES}[{partition.number}]: of offsets {ledgered.first:,} to {ledgered.last:,}"
                    raise Stop(f"{where} this Forebay can't read all that was loaded once: rebuild with one that can")
                for row in block.rows:
                    if row["record"] == "tallies":
                        for minute, count in zip(row["minute"], row["requests"], strict=True):
                            requests[DAY_ONE + timedelta(days=minute // MINUTES_A_DAY)] += count
        return dict(requests)

    def _insert(self, days: Days, epoch: int, consumer: Consumer) -> None:
        """What is named first, all that the log has: copies of it collapse, and the ledger's word on it stands."""
        rows: list[Row]
        executions: list[Row]
        for topic in (SCHEMAS, SHAPES):
            for partition, origin in self._origins(topic, epoch):
                for named in self._named(partition):
                    rows = [row for row in build(origin, named, {}).rows if row["record"] != "range"]
                    self._put(origin, named[0].offset, named[-1].offset + 1, [(table_of(topic), rows)], consumer)
        for partition, origin in self._origins(TALLIES, epoch):
            told, records = time.monotonic(), 0
            rows, executions = [], []
            first = size = 0
            for ledgered, block, _, bytes_ in self._again(partition, origin, days):
                first = first if rows else ledgered.first
                rows += block.rows
                executions += block.executions
                size += bytes_
                records += block.records
                if size >= self._batch_bytes:
                    inserts = [(EXECUTIONS, executions), (REPORTS, rows)]
                    self._put(origin, first, ledgered.last + 1, inserts, consumer)
                    rows, executions, size = [], [], 0
                if time.monotonic() > told + TELL_EVERY:
                    told = time.monotonic()
                    self._tell(f"{TALLIES}[{partition.number}]: at offset {ledgered.last:,}")
            if rows:
                inserts = [(EXECUTIONS, executions), (REPORTS, rows)]
                self._put(origin, first, ledgered.last + 1, inserts, consumer)
            self._tell(f"{TALLIES}[{partition.number}]: {records:,} records read again")

    def _put(
        self, origin: Origin, first: int, end: int, inserts: list[tuple[str, list[Row]]], consumer: Consumer
    ) -> None:
        name = token(origin, first, end)
        for table, rows in inserts:
            if rows:
                _insistently(partial(self._store.insert, table, rows, name))
                reached("rebuild.inserted")
        with suppress(ForebayError):  # only to stay in the group, where another rebuild sees that this one is under way
            consumer.poll(0.0, paused=self._partitions())

    def _note(self, epoch: int, state: State, days: Days) -> None:
        _insistently(lambda: self._refill.note(epoch, state, days))

    def _finish(self, epoch: int, days: Days) -> None:
        self._refill.replace(self._pipeline, epoch)
        reached("rebuild.replaced")
        self._note(epoch, State.FINISHED, days)
        reached("rebuild.finished")

    def _partitions(self) -> frozenset[Partition]:
        return frozenset(partition for topic in TOPICS for partition in self._journal.partitions(topic))

    def _origins(self, topic: str, epoch: int) -> list[tuple[Partition, Origin]]:
        topic_id = self._journal.topic_id(topic)
        return [
            (partition, Origin(self._pipeline, topic, topic_id, partition.number, epoch))
            for partition in self._journal.partitions(topic)
        ]

    def _again(self, partition: Partition, origin: Origin, days: Days) -> Iterator[tuple[Ledgered, Block, int, int]]:
        """Each range that holds something of the days, its block, and how many dead letters and bytes it had."""
        held: list[Fetched] = []
        for page in self._refill.ranges(origin, self._journal.bounds(partition).low, days):
            dead = self._refill.dead(origin, page[0].first, page[-1].last) if page else {}
            verdicts = Verdicts(days.numbers, dead)
            for ledgered in page:
                if held and held[0].offset != ledgered.first:
                    held = []
                while not held or held[-1].offset < ledgered.last:
                    held += self._read(partition, held[-1].offset + 1 if held else ledgered.first)
                count = ledgered.last - ledgered.first + 1
                records, held = held[:count], held[count:]
                before = {key: from_text(text) for key, text in ledgered.before.items()}
                letters = sum(record.offset in dead for record in records)
                size = sum(len(record.value) for record in records)
                yield ledgered, build(origin, records, before, verdicts), letters, size

    def _named(self, partition: Partition) -> Iterator[list[Fetched]]:
        """Everything that was loaded of what is named and that the log still has."""
        next_ = self._journal.bounds(partition).low
        committed = self._journal.committed(self._group, partition)
        while committed and next_ < committed.offset:
            records = self._read(partition, next_, committed.offset - next_)
            yield records
            next_ = records[-1].offset + 1

    def _read(self, partition: Partition, first: int, limit: int = PAGE) -> list[Fetched]:
        found = _insistently(lambda: self._journal.read(partition, first, min(limit, PAGE), self._batch_bytes))
        if not found or found[0].offset != first or found[-1].offset != first + len(found) - 1:
            raise Stop(f"{partition.topic}[{partition.number}] no longer holds all from offset {first:,} on")
        return found


def _insistently(call: Callable[[], T]) -> T:
    """What may be done again unchanged is, for some minutes."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except RetryLater as exc:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(min(exc.retry_after * 2**attempt, 30))
    raise AssertionError


def _sum(requests: dict[date, int]) -> str:
    return f"{sum(requests.values()):,}"
