"""The schema check: does a change of the schema break anyone who is there, and whom?

Never a false "safe": a breaking change is *unused* only if the window is complete and no request
of it could be affected as far as its reporters could see; what cannot be told is *unknown*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import GraphQLSchema

from ..core.coordinate import Entry, Kind, State
from ..core.shape import Coverage, OperationType, Shape
from ..store.port import Store
from . import queries
from .answers import About, Scope, Verdict
from .place_changes import Change, Severity
from .rules import Effect
from .schema_changes import changes
from .schema_impact import Judge, may_keep_from_merging
from .type_changes import Hit
from .window import Window

MAX_REASONS = 10


class Outcome(StrEnum):
    """Of a whole check; `exit_code` is for continuous integration."""

    SAFE = "safe"
    BREAKS = "breaks"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        return {Outcome.SAFE: 0, Outcome.BREAKS: 1, Outcome.UNKNOWN: 3}[self]


@dataclass(frozen=True, slots=True)
class CheckedOperation:
    """An operation that a change affects, or may affect, with its requests in the window."""

    name: str
    operation: str
    requests: int
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedChange:
    """`verdict` is about traffic: used means that requests are affected."""

    kind: str
    coordinate: str
    message: str
    severity: Severity
    verdict: Verdict
    reasons: tuple[str, ...]
    requests: int
    operations: tuple[CheckedOperation, ...]


@dataclass(frozen=True, slots=True)
class Check:
    about: About
    verdict: Outcome
    exit_code: int
    changes: tuple[CheckedChange, ...]


@dataclass(slots=True)
class Seen:
    """A shape with its traffic; None for one whose description has not arrived."""

    id: str
    shape: Shape | None
    clients: dict[tuple[str, str], int]


def check(old: GraphQLSchema, new: GraphQLSchema, traffic: Iterable[Seen], about: About) -> Check:
    """Judge every change by the traffic of the window that `about` speaks of.  Pure."""
    found = changes(old, new)
    judge = Judge(old, new, found)
    hits: list[list[tuple[Seen, Effect]]] = [[] for _ in found]
    broken: dict[str, list[tuple[Seen, Effect]]] = defaultdict(list)
    gaps = list(about.incomplete)
    for seen in traffic:
        if seen.shape is None:
            gaps.append(f"what the shape {seen.id} uses is not known")
            continue
        impact = judge.judge(seen.shape)
        for number, effect in impact.effects.items():
            hits[number].append((seen, effect))
        if impact.unexplained:
            broken[seen.shape.operation].append((seen, Effect(Hit.YES, impact.unexplained)))
    checked = [
        _checked(change, affected, gaps, may_keep_from_merging(old, change))
        for change, affected in zip(found, hits, strict=True)
    ]
    for affected in broken.values():
        checked.append(_checked(_operation_broken(affected), affected, gaps, False))
    checked.sort(key=lambda each: (list(Severity).index(each.severity), each.verdict is not Verdict.USED))
    outcome = _outcome(checked)
    return Check(about, outcome, outcome.exit_code, tuple(checked))


def traffic(store: Store, scope: Scope, window: Window) -> Iterator[Seen]:
    """Every shape with traffic in the window."""
    parameters = queries.parameters(scope, window)

    def ask(sql: str) -> list[dict[str, Any]]:
        return store.query(sql, parameters)

    clients: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for row in ask(queries.TRAFFIC):
        clients[row["id"]][row["client"], row["client_version"]] = row["n"]
    entries = {row["id"]: row["entries"] for row in ask(queries.ENTRIES)}
    shapes = {row["id"]: _shape(row, entries.get(row["id"], [])) for row in ask(queries.SHAPES)}
    for id_, who in clients.items():
        yield Seen(id_, shapes.get(id_), who)


def _shape(row: dict[str, Any], entries: list[tuple[str, str, str, int]]) -> Shape:
    return Shape(
        operation=row["operation"],
        name=row["name"],
        type=OperationType(row["type"]),
        document=row["document"],
        entries=tuple(Entry(Kind(kind), coordinate, named, State(state)) for kind, coordinate, named, state in entries),
        coverage=frozenset(map(Coverage, row["coverage"])),
        invalid=bool(row["invalid"]),
    )


def _checked(change: Change, affected: list[tuple[Seen, Effect]], gaps: list[str], merging: bool) -> CheckedChange:
    hit = max((effect.hit for _, effect in affected), default=Hit.NO)
    reasons = [effect.why for _, effect in affected if effect.hit is hit and effect.why]
    verdict = {Hit.YES: Verdict.USED, Hit.MAYBE: Verdict.UNKNOWN, Hit.NO: Verdict.UNUSED}[hit]
    # A type's change can keep fields from merging in a document that nobody has seen, even if it is safe by itself.
    matters = change.severity is not Severity.SAFE or merging
    if verdict is Verdict.UNUSED and matters and gaps:
        verdict, reasons = Verdict.UNKNOWN, gaps
    shown = [seen for seen, effect in affected if effect.hit is hit]
    return CheckedChange(
        kind=change.kind,
        coordinate=change.coordinate,
        message=change.message,
        severity=change.severity,
        verdict=verdict,
        reasons=tuple(dict.fromkeys(reasons))[:MAX_REASONS],
        requests=sum(sum(seen.clients.values()) for seen in shown),
        operations=_operations(shown),
    )


def _operations(affected: list[Seen]) -> tuple[CheckedOperation, ...]:
    grouped: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for seen in affected:
        assert seen.shape is not None
        grouped[seen.shape.name, seen.shape.operation].append(seen)
    operations = [
        CheckedOperation(
            name=name,
            operation=operation,
            requests=sum(sum(seen.clients.values()) for seen in group),
            clients=tuple(
                sorted({f"{client} {version}".strip() for seen in group for client, version in seen.clients})
            ),
        )
        for (name, operation), group in grouped.items()
    ]
    return tuple(sorted(operations, key=lambda each: (-each.requests, each.name)))


def _operation_broken(affected: list[tuple[Seen, Effect]]) -> Change:
    """For a document that breaks though no single breaking change says so, as when fields no longer merge."""
    (seen, effect), *_ = affected
    assert seen.shape is not None
    name = seen.shape.name or f"operation {seen.shape.operation}"
    return Change("operation_broken", name, Severity.BREAKING, f"{name} is not valid any more: {effect.why}")


def _outcome(checked: list[CheckedChange]) -> Outcome:
    """A change that is safe by itself can still be unknown, where only unseen documents could tell."""
    judged = [each for each in checked if each.severity is not Severity.DANGEROUS]
    if any(each.severity is Severity.BREAKING and each.verdict is Verdict.USED for each in judged):
        return Outcome.BREAKS
    return Outcome.UNKNOWN if any(each.verdict is Verdict.UNKNOWN for each in judged) else Outcome.SAFE
