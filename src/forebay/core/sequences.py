"""Which of an agent's reports the log has held so far: the rule that makes a repeated report count once.

A report is a repeat if the same agent's same sequence stands at a lower offset.  That is a pure
function of the log, so every replay decides alike.  The state is a set of whole numbers kept as
closed intervals: one interval while reports arrive in order, a few while a spilled one is late.
"""

from __future__ import annotations

from bisect import bisect_right

from ..errors import RejectRecord

Sequences = tuple[tuple[int, int], ...]
"""Closed intervals, ascending, never touching."""

NONE: Sequences = ()

MAX_INTERVALS = 1_000
"""An agent sends one report at a time, so gaps are few.  A report that would open more than
these goes to the dead letters: kept and shown, instead of memory without a bound."""


def add(held: Sequences, number: int) -> Sequences | None:
    """The set with `number` in it; None if it was there already: a repeat."""
    if not held:
        return ((number, number),)
    at = len(held) if number > held[-1][0] else bisect_right(held, (number, number))
    if at < len(held) and held[at][0] == number:
        return None
    low = high = number
    first = last = at
    if at and held[at - 1][1] >= number - 1:
        if held[at - 1][1] >= number:
            return None
        first, low = at - 1, held[at - 1][0]
    if at < len(held) and held[at][0] == number + 1:
        last, high = at + 1, held[at][1]
    return (*held[:first], (low, high), *held[last:])


def check_gaps(agent: str, held: Sequences) -> None:
    """RejectRecord with reason `sequence_gaps` if these are more intervals than are kept for an agent."""
    if len(held) > MAX_INTERVALS:
        message = f"agent {agent} left more than {MAX_INTERVALS} gaps in its sequence numbers"
        raise RejectRecord("sequence_gaps", message)


def missing(held: Sequences) -> int:
    """How many numbers between the first and the last were never held."""
    return held[-1][1] - held[0][0] + 1 - sum(high - low + 1 for low, high in held) if held else 0


def to_text(held: Sequences) -> str:
    """`1-57 59-60`, as the store keeps it."""
    return " ".join(f"{low}-{high}" for low, high in held)


def from_text(text: str) -> Sequences:
    """The inverse of `to_text`."""
    pairs = (pair.split("-") for pair in text.split())
    return tuple((int(low), int(high)) for low, high in pairs)
