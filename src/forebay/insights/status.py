"""How the pipeline is doing: what waits in the journal, what the loader did, what was lost or put aside.

Journal and store are asked each for itself: while one is away, the other still tells what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ..core.intent import Word
from ..errors import RetryLater, Stop
from ..store.condition import Condition, State, state_of
from ..store.port import Store
from .answers import Graph, Scope
from .freshness import Backlog, Freshness, PartitionLag
from .stored import PATIENCE, DeadLetters, Loss, Parts, stored


class Progress(Protocol):
    """What a loader did since it started; `trouble` is empty while it works, `pace` says how fast and why."""

    records: int
    requests: int
    dead_letters: int
    inserts: int
    trouble: str
    pace: str


Refusals = Callable[[], list[dict[str, Any]]]
"""Reports refused by the collector of this process: `protocol`, `reason`, `count`."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loader of this process did since it started."""

    records: int
    requests: int
    dead_letters: int
    inserts: int
    trouble: str
    pace: str


@dataclass(frozen=True, slots=True)
class AtWork:
    """A loader, as it said with its latest commit.  `trouble`: why its inserts fail, in a word; empty if they don't."""

    loader: str
    partitions: int
    committed: datetime
    trouble: str
    pace: str


LATELY = timedelta(hours=1)
NOW = timedelta(minutes=2)
"""A loader whose inserts fail says so every few seconds, but for its pauses of up to one minute."""


@dataclass(frozen=True, slots=True)
class Status:
    """What nobody can tell at the moment is None.

    `journal_trouble`: why the journal does not tell, empty if it does; then everything up to
    `loaders` is None.  `loaders`: those that committed lately, or whose last commit is behind.
    `condition`: how the store is, also as the loaders find it; if it does not answer, everything from
    `graphs` on is None, but for `refusals`.
    `loss_in`: seconds until retention may take records that are not loaded, see `PartitionLag`.
    `rebuild`: what is to be done about one that is unfinished, and why loading waits; else empty.
    """

    journal_trouble: str
    complete_up_to: datetime | None
    lag_records: int | None
    lag_seconds: float | None
    loss_in: float | None
    journal: tuple[PartitionLag, ...] | None
    under_replicated: tuple[str, ...] | None
    loaders: tuple[AtWork, ...] | None
    condition: Condition
    loader: Loaded | None
    refusals: tuple[dict[str, Any], ...]
    graphs: tuple[Graph, ...] | None
    dead_letters: tuple[DeadLetters, ...] | None
    losses: tuple[Loss, ...] | None
    lost_records: int | None
    rebuild: str | None
    store: tuple[Parts, ...] | None


def status(
    store: Store,
    freshness: Freshness,
    graphs: Callable[[], list[Graph]],
    scope: Scope | None,
    progress: Callable[[], Progress] | None,
    refusals: Refusals | None,
) -> Status:
    """Everything at once."""
    answer = stored(store, graphs, scope)  # meanwhile: who is slow does not hold up the other
    trouble, backlog, under_replicated = "", None, None
    try:
        backlog, under_replicated = freshness.backlog(), freshness.under_replicated()
    except (RetryLater, Stop) as exc:
        trouble = str(exc)
    condition, contents = answer(PATIENCE)
    loaders = _loaders(backlog) if backlog else None
    return Status(
        journal_trouble=trouble,
        complete_up_to=backlog.complete_up_to if backlog else None,
        lag_records=sum(lag.lag_records for lag in backlog.partitions) if backlog else None,
        lag_seconds=max(lag.lag_seconds for lag in backlog.partitions) if backlog else None,
        loss_in=backlog.loss_in if backlog else None,
        journal=backlog.partitions if backlog else None,
        under_replicated=under_replicated,
        loaders=loaders,
        condition=_as_found(condition, loaders, backlog.asked) if backlog and loaders else condition,
        loader=_loaded(progress()) if progress else None,
        refusals=tuple(refusals() if refusals else ()),
        graphs=contents.graphs if contents else None,
        dead_letters=contents.dead_letters if contents else None,
        losses=contents.losses if contents else None,
        lost_records=contents.lost_records if contents else None,
        rebuild=contents.rebuild if contents else None,
        store=contents.parts if contents else None,
    )


def _loaded(progress: Progress) -> Loaded:
    return Loaded(
        progress.records,
        progress.requests,
        progress.dead_letters,
        progress.inserts,
        progress.trouble,
        progress.pace,
    )


def _loaders(backlog: Backlog) -> tuple[AtWork, ...]:
    """One for each that has something to say, the latest first."""
    words: dict[str, list[Word]] = {}
    for lag in backlog.partitions:
        if lag.word and (lag.lag_records or backlog.asked - _at(lag.word) < LATELY):
            words.setdefault(lag.word.loader, []).append(lag.word)
    latest = {loader: max(said, key=_at) for loader, said in words.items()}
    return tuple(
        AtWork(loader, len(words[loader]), _at(word), word.trouble, word.pace)
        for loader, word in sorted(latest.items(), key=lambda item: _at(item[1]), reverse=True)
    )


def _as_found(condition: Condition, loaders: tuple[AtWork, ...], now: datetime) -> Condition:
    """Some troubles are met only by who inserts."""
    for loader in loaders:
        if condition.state is State.OK and loader.trouble and now - loader.committed < NOW:
            return Condition(state_of(loader.trouble), f"the loader {loader.loader} {loader.pace}")
    return condition


def _at(word: Word) -> datetime:
    return datetime.fromtimestamp(word.at, UTC)
