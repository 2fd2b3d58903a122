"""How far the store has caught up with the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from ..core.intent import Word, word_in
from ..core.record import TOPICS
from ..journal.port import Journal, Partition, Retention

SAMPLE = 100
"""Records, by whose size that of all that wait is told."""
GROWING = 60.0
"""Seconds over which growth is reckoned at least: a record that came just now is no rate."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition: offsets `low` to `high` are in the journal, those below `loaded` in the store.

    `waiting_since`: when the oldest record that is not in the store was appended; None if there
    is none.  `stranded`: records between `loaded` and `low` that retention took before they were
    loaded.  `loss_in`: seconds until retention may take the oldest record that is not in the store, if
    no more of them are loaded and as many come as came since; None if there is none, or if nothing is
    taken before it is loaded.  `word`: what the loader said with its latest commit.
    """

    topic: str
    partition: int
    low: int
    high: int
    loaded: int
    lag_records: int
    lag_seconds: float
    waiting_since: datetime | None
    stranded: int
    loss_in: float | None
    word: Word | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in each partition of each topic; asked for at `asked`, or a little later."""

    asked: datetime
    partitions: tuple[PartitionLag, ...]

    @property
    def complete_up_to(self) -> datetime | None:
        """Everything acknowledged before this moment is in the store; None if records were lost unread.

        Ask for the backlog before the store is asked: what it answers is then at least this fresh.
        """
        if any(lag.stranded for lag in self.partitions):
            return None
        return min((lag.waiting_since for lag in self.partitions if lag.waiting_since), default=self.asked)

    @property
    def loss_in(self) -> float | None:
        """The shortest of the partitions'."""
        return min((lag.loss_in for lag in self.partitions if lag.loss_in is not None), default=None)


class Freshness:
    """Reads it from the journal: what `group` has confirmed, against what is there."""

    def __init__(self, journal: Journal, group: str, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._group = group
        self._clock = clock

    def backlog(self) -> Backlog:
        """RetryLater or Stop while the journal does not tell."""
        asked = datetime.fromtimestamp(self._clock(), UTC)
        retention = cache(self._journal.retention)  # asked once a topic, and only where something waits
        partitions = (partition for topic in TOPICS for partition in self._journal.partitions(topic))
        return Backlog(asked, tuple(self._lag(partition, retention) for partition in partitions))

    def under_replicated(self) -> tuple[str, ...]:
        """Partitions that miss a replica, as `topic/number`: one more broker lost may lose records, or stop appends."""
        partitions = (partition for topic in TOPICS for partition in self._journal.under_replicated(topic))
        return tuple(f"{partition.topic}/{partition.number}" for partition in partitions)

    def _lag(self, partition: Partition, retention: Callable[[str], Retention]) -> PartitionLag:
        bounds = self._journal.bounds(partition)
        committed = self._journal.committed(self._group, partition)
        loaded = committed.offset if committed else bounds.low
        waiting = self._journal.read(partition, max(loaded, bounds.low), limit=1) if loaded < bounds.high else []
        since = datetime.fromtimestamp(waiting[0].appended / 1000, UTC) if waiting else None
        lag_seconds = max(self._clock() - since.timestamp(), 0.0) if since else 0.0
        lag_records = max(bounds.high - loaded, 0)
        return PartitionLag(
            topic=partition.topic,
            partition=partition.number,
            low=bounds.low,
            high=bounds.high,
            loaded=loaded,
            lag_records=lag_records,
            lag_seconds=lag_seconds,
            waiting_since=since,
            stranded=max(bounds.low - loaded, 0),
            loss_in=self._loss_in(retention(partition.topic), partition, waiting[0].offset, lag_records, lag_seconds)
            if waiting
            else None,
            word=word_in(committed.metadata) if committed else None,
        )

    def _loss_in(self, kept: Retention, partition: Partition, first: int, records: int, seconds: float) -> float | None:
        """By age, and by size as if the journal did not compress: at the earliest."""
        times = [] if kept.seconds is None else [kept.seconds - seconds]
        if kept.bytes is not None and (sample := self._journal.read(partition, first, SAMPLE)):
            waiting = records * sum(len(record.value) for record in sample) / len(sample)
            times.append((kept.bytes / waiting - 1) * max(seconds, GROWING))
        return max(min(times), 0.0) if times else None
