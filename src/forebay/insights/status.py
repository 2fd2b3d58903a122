"""How the pipeline is doing: what waits in the journal, what the loader did, what was lost or put aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..store.port import Store
from ..store.rebuilds import unfinished
from .answers import Graph, Scope
from .freshness import Freshness, PartitionLag
from .window import utc


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
class DeadLetters:
    reason: str
    topic: str
    letters: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """Requests that agents of a graph reported as lost."""

    org: str
    graph: str
    reason: str
    requests: int


@dataclass(frozen=True, slots=True)
class Parts:
    """A table of the store: a partition with too many parts slows its inserts down."""

    table: str
    parts: int
    most_in_a_partition: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """`loss_in`: seconds until retention may take records that are not loaded, see `PartitionLag`.

    `lost_records`: those that the journal's retention took before they were loaded, of whichever graph.
    `rebuild`: what is to be done about one that is unfinished, and why loading waits; else empty.
    """

    complete_up_to: datetime | None
    lag_records: int
    lag_seconds: float
    loss_in: float | None
    journal: tuple[PartitionLag, ...]
    loader: Loaded | None
    graphs: tuple[Graph, ...]
    dead_letters: tuple[DeadLetters, ...]
    losses: tuple[Loss, ...]
    lost_records: int
    rebuild: str
    refusals: tuple[dict[str, Any], ...]
    store: tuple[Parts, ...]


_SCOPED = "({everything:UInt8} OR (org = {org:String} AND graph = {graph:String})"

DEAD_LETTERS = f"""
SELECT reason, topic, count() AS letters, max(appended) AS last FROM dead_letters
WHERE {_SCOPED} OR (org = '' AND graph = '')) GROUP BY reason, topic ORDER BY letters DESC
"""

LOSSES = f"""
SELECT org, graph, reason, sum(ledger_losses.requests) AS requests FROM ledger_losses WHERE {_SCOPED})
GROUP BY org, graph, reason HAVING requests > 0 ORDER BY requests DESC
"""

LOST_RECORDS = "SELECT sum(lost_records) AS lost FROM ledger WHERE lost_records > 0"

PARTS = """
SELECT table, sum(n) AS parts, max(n) AS most_in_a_partition, sum(r) AS rows, sum(b) AS bytes
FROM (
  SELECT table, partition, count() AS n, sum(rows) AS r, sum(bytes_on_disk) AS b
  FROM system.parts WHERE database = currentDatabase() AND active GROUP BY table, partition
) GROUP BY table ORDER BY table
"""


def status(
    store: Store,
    freshness: Freshness,
    graphs: list[Graph],
    scope: Scope | None,
    progress: Callable[[], Progress] | None,
    refusals: Refusals | None,
) -> Status:
    """Everything at once."""
    org, graph = scope or ("", "")
    parameters = {"everything": int(scope is None), "org": org, "graph": graph}
    lags = freshness.partitions()
    return Status(
        complete_up_to=freshness.complete_up_to(),
        lag_records=sum(lag.lag_records for lag in lags),
        lag_seconds=max(lag.lag_seconds for lag in lags),
        loss_in=min((lag.loss_in for lag in lags if lag.loss_in is not None), default=None),
        journal=tuple(lags),
        loader=_loaded(progress()) if progress else None,
        graphs=tuple(graphs),
        dead_letters=tuple(
            DeadLetters(row["reason"], row["topic"], row["letters"], utc(row["last"]))
            for row in store.query(DEAD_LETTERS, parameters)
        ),
        losses=tuple(Loss(**row) for row in store.query(LOSSES, parameters)),
        rebuild=str(unfinished(store) or ""),
        lost_records=store.query(LOST_RECORDS)[0]["lost"],
        refusals=tuple(refusals() if refusals else ()),
        store=tuple(Parts(**row) for row in store.query(PARTS)),
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
