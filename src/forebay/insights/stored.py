"""What the store says of itself and of what it holds; when it does not answer, why.

A store that hangs must not make whoever asks how it is hang with it: it is given `PATIENCE`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from ..errors import RetryLater, Stop
from ..store.condition import Condition, State, condition_of
from ..store.port import Store
from ..store.rebuilds import unfinished
from .answers import Graph, Scope
from .window import utc

PATIENCE = 8.0
"""Seconds; Prometheus waits ten for an answer."""


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
class Contents:
    """`lost_records`: those that the journal's retention took before they were loaded, of whichever graph."""

    graphs: tuple[Graph, ...]
    dead_letters: tuple[DeadLetters, ...]
    losses: tuple[Loss, ...]
    lost_records: int
    rebuild: str  # what is to be done about one that is unfinished
    parts: tuple[Parts, ...]


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


Stored = tuple[Condition, Contents | None]


def stored(store: Store, graphs: Callable[[], list[Graph]], scope: Scope | None) -> Callable[[float], Stored]:
    """Ask how the store is and what it holds; call what comes back with the seconds that the answer may still take."""
    told: Future[Stored] = Future()

    def ask() -> None:
        try:
            told.set_result(_asked(store, graphs, scope))
        except Exception as exc:  # whatever it is: it is for who waits
            told.set_exception(exc)

    def answer(patience: float) -> Stored:
        try:
            return told.result(patience)
        except TimeoutError:
            return Condition(State.SLOW, f"the store has not answered within {patience:g} s"), None

    threading.Thread(target=ask, name="store-asked", daemon=True).start()
    return answer


def _asked(store: Store, graphs: Callable[[], list[Graph]], scope: Scope | None) -> Stored:
    condition = store.condition()
    try:
        return condition, _contents(store, graphs, scope)
    except (RetryLater, Stop) as exc:
        return condition_of(exc) if condition.state is State.OK else condition, None


def _contents(store: Store, graphs: Callable[[], list[Graph]], scope: Scope | None) -> Contents:
    org, graph = scope or ("", "")
    parameters = {"everything": int(scope is None), "org": org, "graph": graph}
    return Contents(
        graphs=tuple(each for each in graphs() if scope is None or (each.org, each.graph) == scope),
        dead_letters=tuple(
            DeadLetters(row["reason"], row["topic"], row["letters"], utc(row["last"]))
            for row in store.query(DEAD_LETTERS, parameters)
        ),
        losses=tuple(Loss(**row) for row in store.query(LOSSES, parameters)),
        lost_records=store.query(LOST_RECORDS)[0]["lost"],
        rebuild=str(unfinished(store) or ""),
        parts=tuple(Parts(**row) for row in store.query(PARTS)),
    )
