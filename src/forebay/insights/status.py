"""How the pipeline is doing: what waits in the journal, what the loader did, what was lost or put aside.

Journal and store are asked each for itself: while one is away, the other still tells what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..errors import RetryLater, Stop
from ..store.condition import Condition
from ..store.port import Store
from .answers import Graph, Scope
from .freshness import Freshness, PartitionLag
from .stored import DeadLetters, Loss, Parts, stored


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
class Status:
    """What nobody can tell at the moment is None.

    `journal_trouble`: why the journal does not tell, empty if it does; then everything up to
    `under_replicated` is None.  `condition`: how the store is; if it does not answer, everything from
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
    trouble, backlog, under_replicated = "", None, None
    try:
        backlog, under_replicated = freshness.backlog(), freshness.under_replicated()
    except (RetryLater, Stop) as exc:
        trouble = str(exc)
    condition, contents = stored(store, graphs, scope)
    return Status(
        journal_trouble=trouble,
        complete_up_to=backlog.complete_up_to if backlog else None,
        lag_records=sum(lag.lag_records for lag in backlog.partitions) if backlog else None,
        lag_seconds=max(lag.lag_seconds for lag in backlog.partitions) if backlog else None,
        loss_in=backlog.loss_in if backlog else None,
        journal=backlog.partitions if backlog else None,
        under_replicated=under_replicated,
        condition=condition,
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
