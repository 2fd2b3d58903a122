"""Tallies: how often a shape was requested, and the one fold that adds them up at every stage.

Folding is associative and commutative: in which order, grouping or stage tallies are folded
never changes a total.
"""

from __future__ import annotations

from collections.abc import Iterable

from .histogram import Histogram, merge

Key = tuple[int, str, str, str, str, int]
"""(minute since the epoch, schema version, shape id, client, client version, HTTP status)"""

Count = tuple[int, int, Histogram]
"""(requests, those of them with errors, durations)"""

Tallies = dict[Key, Count]


def fold(into: Tallies, tallies: Iterable[tuple[Key, Count]]) -> Tallies:
    """Add `tallies` to `into`, in place, and return it.  The given histograms are never changed."""
    get = into.get
    for key, count in tallies:
        held = get(key)
        if held is None:
            into[key] = count
        elif not (count[2] or held[2]):
            into[key] = (held[0] + count[0], held[1] + count[1], count[2])
        else:
            durations = dict(held[2])
            merge(durations, count[2])
            into[key] = (held[0] + count[0], held[1] + count[1], durations)
    return into
