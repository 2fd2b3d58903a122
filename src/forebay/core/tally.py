"""Tallies: how often a shape was requested, and the one fold that adds them up at every stage.

Folding is associative and commutative: in which order, grouping or stage tallies are folded
never changes a total.
"""

from __future__ import annotations

from collections.abc import Iterable

from .histogram import Histogram

Key = tuple[int, str, str, str, str, int]
"""(minute since the epoch, schema version, shape id, client, client version, HTTP status)"""

Count = tuple[int, int, Histogram]
"""(requests, those of them with errors, durations)"""

Tallies = dict[Key, Count]


def fold(into: Tallies, tallies: Iterable[tuple[Key, Count]]) -> Tallies:
    """Add `tallies` to `into`, in place, and return it.

    The histograms of `into` are its own and are added to; those of `tallies` are never changed.
    """
    get = into.get
    for key, (requests, errors, durations) in tallies:
        held = get(key)
        if held is None:
            into[key] = (requests, errors, dict(durations))
            continue
        own = held[2]
        for number, count in durations.items():  # what a loader spends most of its time on
            own[number] = own.get(number, 0) + count
        into[key] = (held[0] + requests, held[1] + errors, own)
    return into
