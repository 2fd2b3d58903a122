"""The loader's pace: `core/pressure.py` between the loop, which knows the time, and the store, which sets it.

A batch is ripe when it is large or old enough *and* the store may be fed: inserts of one topic
keep their interval, over all its partitions, and after a failure all wait.  What waits stays in
the journal: each partition may gather its share of one budget, and is paused beyond it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.pressure import MIB, Bounds, Decision, Failed, Inserted, Pressure, Trouble, decide, observe, start

LOOK_AFTER = 8
"""Inserts between questions to the store about its parts, as long as it has `FEW`: one costs a fifth of an insert."""
FEW = 100


@dataclass(slots=True)
class Pace:
    """`batch_bytes`: JSON bytes of records in a full batch; `linger`: seconds that a record may wait for it;
    `budget_bytes`: all records that are held at a time, but for one poll.  Times are any one clock's.
    """

    batch_bytes: int = 16 * MIB
    linger: float = 0.5
    budget_bytes: int = 64 * MIB
    jitter: Callable[[], float] = random.random
    _bounds: Bounds = field(init=False)
    _pressure: Pressure = field(init=False)
    _decision: Decision = field(init=False)
    _not_before: float = field(init=False, default=0.0)
    _latest: dict[str, float] = field(init=False, default_factory=dict)  # topic → when its latest insert began
    _unseen: int = field(init=False, default=LOOK_AFTER)  # inserts since the last look
    _parts: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._bounds = Bounds(self.batch_bytes, self.linger)
        self._pressure = start(self._bounds)
        self._decision = decide(self._pressure, self._bounds)

    @property
    def why(self) -> str:
        """The pace in force and its reason, in one sentence."""
        return self._decision.why

    @property
    def failing(self) -> bool:
        return self._pressure.failures > 0

    @property
    def trouble(self) -> str:
        """Why the latest insert failed, in a word; empty if it did not."""
        return self._pressure.trouble or ""

    @property
    def batch(self) -> int:
        """Bytes of records that an insert holds at most, if it holds more than one."""
        return self._decision.batch_bytes

    def ripe(self, size: int, age: float) -> bool:
        """Is this buffer worth an insert?"""
        return size >= self.batch or age >= self.linger

    def ready(self, topic: str, now: float) -> bool:
        """May the store be given something from this topic now?"""
        latest = self._latest.get(topic)
        return now >= self._not_before and (latest is None or now >= latest + self._decision.interval)

    def full(self, size: int, partitions: int) -> bool:
        """Should a partition, one of so many, gather no more for now?"""
        return size >= min(self.batch, self.budget_bytes // max(1, partitions))

    def wait(self, busy: bool, now: float) -> float:
        """How long a poll may wait for news, in seconds: not beyond the moment when an insert may follow."""
        if not busy:
            return 0.5
        times = (max(self._not_before, latest + self._decision.interval) for latest in self._latest.values())
        return min([self.linger / 4, *(time - now for time in times if time > now)])

    @property
    def curious(self) -> bool:
        """Is it time to look how many parts the store has?"""
        return self._parts > FEW or self._unseen >= LOOK_AFTER

    def inserted(self, topic: str, began: float, now: float, rows: int, parts: int | None, backlog: int) -> None:
        """`rows` are in the store."""
        self._latest[topic] = began
        self._unseen = 1 if parts is not None else self._unseen + 1
        self._parts = self._parts if parts is None else parts
        self._observe(Inserted(rows, now - began, parts, backlog))

    def failed(self, reason: str, now: float) -> None:
        """An insert failed; `reason` is RetryLater's."""
        trouble = Trouble(reason) if reason in tuple(Trouble) else Trouble.OTHER
        self._observe(Failed(trouble))
        self._not_before = now + self._decision.pause

    def _observe(self, seen: Inserted | Failed) -> None:
        self._pressure, self._decision = observe(self._pressure, seen, self._bounds, self.jitter())
