"""How far the store has caught up with the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from ..core.record import TOPICS
from ..journal.port import Journal, Partition


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition: offsets `low` to `high` are in the journal, those below `loaded` in the store.

    `waiting_since`: when the oldest record that is not in the store was appended; None if there
    is none.  `stranded`: records between `loaded` and `low` that retention took before they were
    loaded.  `loss_in`: seconds until retention may take the oldest record that is not in the store;
    None if there is none, or if nothing is taken before it is loaded.
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


class Freshness:
    """Reads it from the journal: what `group` has confirmed, against what is there."""

    def __init__(self, journal: Journal, group: str, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._group = group
        self._clock = clock

    def complete_up_to(self) -> datetime | None:
        """Everything acknowledged before this moment is in the store; None if records were lost unread.

        Ask before the store is asked: what it answers is then at least this fresh.
        """
        now = datetime.fromtimestamp(self._clock(), UTC)
        lags = self.partitions()
        if any(lag.stranded for lag in lags):
            return None
        return min((lag.waiting_since for lag in lags if lag.waiting_since), default=now)

    def partitions(self) -> list[PartitionLag]:
        """One for each partition of each topic."""
        retention = cache(self._journal.retention)  # asked once a topic, and only where something waits
        return [self._lag(partition, retention) for topic in TOPICS for partition in self._journal.partitions(topic)]

    def _lag(self, partition: Partition, retention: Callable[[str], float | None]) -> PartitionLag:
        bounds = self._journal.bounds(partition)
        committed = self._journal.committed(self._group, partition)
        loaded = committed.offset if committed else bounds.low
        waiting = self._journal.read(partition, max(loaded, bounds.low), limit=1) if loaded < bounds.high else []
        since = datetime.fromtimestamp(waiting[0].appended / 1000, UTC) if waiting else None
        lag_seconds = max(self._clock() - since.timestamp(), 0.0) if since else 0.0
        kept = retention(partition.topic) if since else None
        return PartitionLag(
            topic=partition.topic,
            partition=partition.number,
            low=bounds.low,
            high=bounds.high,
            loaded=loaded,
            lag_records=max(bounds.high - loaded, 0),
            lag_seconds=lag_seconds,
            waiting_since=since,
            stranded=max(bounds.low - loaded, 0),
            loss_in=None if kept is None else max(kept - lag_seconds, 0.0),
        )
