"""How far back a table must remember inserts, so that a replay is recognised.

A window counts *parts*: an insert leaves one in every partition of the table that it touches.
A replay repeats the last range of a journal partition; while it is held up (a loader that hangs,
a rebalance, one partition that fails), inserts of all other partitions go on and push it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PARTS_PER_INSERT = 4
"""Traffic is partitioned by time.  An insert touches one or two partitions as a rule; after an outage, when
agents send what they kept, more."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a table has to remember: its latest `parts`; where replicas share it, also for so many `seconds`."""

    parts: int
    seconds: int


EMBEDDED = Window(parts=10_000, seconds=7 * 86_400)
"""What the tables are made with, and the least.  By the reckoning below, 7 minutes of three partitions with two
inserts a second each.  Days cost nothing: replicas keep no more than `parts`."""


def window(partitions: int, inserts_per_second: float, reach: float) -> Window:
    """The window for a journal of so many partitions (all topics), each with so many inserts a second, if a
    range may be replayed `reach` seconds after it was first sent.

    Both bounds are needed on replicated tables: what falls out of either is forgotten.
    """
    parts = math.ceil(partitions * inserts_per_second * reach * PARTS_PER_INSERT)
    return Window(max(parts, EMBEDDED.parts), max(math.ceil(reach), EMBEDDED.seconds))
