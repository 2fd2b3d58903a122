"""What became of fields in execution: the errors that arose at them, and a sample of their resolvers' executions.

Errors are exact.  Executions are an estimate: of one request in so many each execution is seen, and
counts that many times.  `fold` is associative and commutative, as that of tallies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from .histogram import Histogram

Place = tuple[int, str, str, str, str]
"""(minute since the epoch, shape id, coordinate, client, client version)

The coordinate is empty where it is not known, or is no longer told apart for lack of room.  Errors have
a shape; executions have none ("") and are told apart by coordinate and client alone.
"""


class Outcome(NamedTuple):
    """`requests` with errors here, and how many `errors`; `executions` and how many of them `failed`, both estimated
    from `sampled` ones, as are their durations."""

    requests: int = 0
    errors: int = 0
    executions: int = 0
    sampled: int = 0
    failed: int = 0
    duration: Mapping[int, int] = {}


Executions = dict[Place, Outcome]

NOWHERE: Final = ""
"""The coordinate of what has none."""


def fold(into: Executions, outcomes: Iterable[tuple[Place, Outcome]]) -> Executions:
    """Add `outcomes` to `into`, in place, and return it; nothing else is changed."""
    for place, outcome in outcomes:
        held = into.get(place)
        into[place] = outcome if held is None else _sum(held, outcome)
    return into


def _sum(one: Outcome, other: Outcome) -> Outcome:
    duration: Histogram = dict(one.duration)
    for bucket, count in other.duration.items():
        duration[bucket] = duration.get(bucket, 0) + count
    return Outcome(
        one.requests + other.requests,
        one.errors + other.errors,
        one.executions + other.executions,
        one.sampled + other.sampled,
        one.failed + other.failed,
        duration,
    )
