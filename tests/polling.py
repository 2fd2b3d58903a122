"""Follows a consumer until what a test waits for has come: a broker takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable

from forebay.journal.port import Assigned, Consumer, Fetched, Partition, Polled

WITHIN = 20.0


class Follower:
    """Polls and remembers all of it, so that a test may ask for one thing after the other."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.seen = Polled()

    def poll(self, timeout: float = 0.1, paused: frozenset[Partition] = frozenset()) -> Polled:
        news = self.consumer.poll(timeout, paused)
        self.seen.dropped += news.dropped
        self.seen.assigned += news.assigned
        for partition, records in news.records.items():
            self.seen.records.setdefault(partition, []).extend(records)
        return news

    def until(self, enough: Callable[[], object], paused: frozenset[Partition] = frozenset()) -> None:
        until = time.monotonic() + WITHIN
        while not enough():
            assert time.monotonic() < until, f"only {self.seen}"
            self.poll(paused=paused)

    def assigned(self, count: int = 1) -> list[Assigned]:
        """The next so many partitions that became ours."""
        self.until(lambda: len(self.seen.assigned) >= count)
        taken, self.seen.assigned = self.seen.assigned[:count], self.seen.assigned[count:]
        return taken

    def dropped(self, count: int = 1) -> list[Partition]:
        self.until(lambda: len(self.seen.dropped) >= count)
        taken, self.seen.dropped = self.seen.dropped[:count], self.seen.dropped[count:]
        return taken

    def records(
        self, partition: Partition, count: int = 1, paused: frozenset[Partition] = frozenset()
    ) -> list[Fetched]:
        """The next so many records of a partition."""
        here = self.seen.records.setdefault(partition, [])
        self.until(lambda: len(here) >= count, paused)
        taken = here[:count]
        del here[:count]
        return taken

    def quiet(self, seconds: float = 0.4, paused: frozenset[Partition] = frozenset()) -> bool:
        """Nothing at all happens for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.poll(paused=paused) != Polled():
                return False
        return True
