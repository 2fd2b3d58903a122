"""The notes about rebuilds: which days may be half filled at the moment, and which are known to lack traffic.

A rebuild notes what it is about to do before it does it.  The latest note is the whole truth, so
that who finds it after a crash knows what stands: loaders wait while a rebuild is unfinished, and
answers over its days, or over hollow ones, are not complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from .port import Store


class State(StrEnum):
    BEGUN = "begun"  # nothing is emptied
    EMPTYING = "emptying"  # the days may hold nothing, or a part
    LOADED = "loaded"  # the days are whole; the ledger may hold ranges of theirs twice
    FINISHED = "finished"
    WITHDRAWN = "withdrawn"  # refused before anything was emptied
    GIVEN_UP = "given_up"  # the days stay as they were left


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One note.  `hollow`: days of which the store holds less traffic than the ledger says; ascending."""

    number: int
    epoch: int
    state: State
    first: date
    last: date
    hollow: tuple[date, ...]

    @property
    def unfinished(self) -> bool:
        return self.state in (State.BEGUN, State.EMPTYING, State.LOADED)

    @property
    def days(self) -> str:
        return span(self.first, self.last)

    def __str__(self) -> str:
        return f"a rebuild of {self.days} is unfinished: run it again"


LATEST = "SELECT number, epoch, state, first_day, last_day, hollow FROM rebuilds ORDER BY number DESC LIMIT 1"


def latest(store: Store) -> Rebuild | None:
    """The present state; None if there was never a rebuild."""
    for row in store.query(LATEST):
        days = row["first_day"], row["last_day"], tuple(row["hollow"])
        return Rebuild(row["number"], row["epoch"], State(row["state"]), *days)
    return None


def unfinished(store: Store) -> Rebuild | None:
    """The rebuild for which loaders have to wait."""
    note = latest(store)
    return note if note and note.unfinished else None


def span(first: date, last: date) -> str:
    return str(first) if first == last else f"{first} to {last}"


def spans(days: Sequence[date]) -> str:
    """Ascending days, as few words as they need."""
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(span(run[0], run[-1]) for run in runs)
