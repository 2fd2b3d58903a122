"""How far an answer about one graph and window can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ..core.shape import FULL_COVERAGE, Coverage
from ..store.port import Store
from ..store.rebuilds import Rebuild, latest, spans
from . import queries
from .answers import About, Reason, Scope
from .window import KEPT, Window, utc

GRACE = timedelta(minutes=1)
"""A window may end this much before the moment of asking without counting as behind."""


def about(
    store: Store,
    scope: Scope,
    window: Window,
    complete_up_to: datetime | None,
    now: datetime,
    lesser: Iterable[frozenset[Coverage]],
) -> About:
    """`complete_up_to` was read before this call, so the store holds at least that.

    `lesser`: see `lesser_coverages`.
    """
    parameters = queries.parameters(scope, window)
    ledger = store.query(queries.LEDGER, parameters)[0]
    losses = store.query(queries.LOSSES, parameters)
    [gone] = store.query(queries.LOST_RECORDS, parameters)
    dead = store.query(queries.DEAD_LETTERS, parameters)
    rebuild = latest(store)
    requests = {row["which"]: row["n"] for row in store.query(queries.VISIBILITY, parameters)}
    data_since = utc(ledger["data_since"]) if ledger["reports"] else None
    coverage = FULL_COVERAGE.intersection(*lesser)
    until = window.until
    why: list[tuple[Reason, str]] = []
    if data_since is None:
        why.append((Reason.NO_DATA, "Nothing has been loaded for this graph yet."))
    elif window.since < data_since:
        why.append((Reason.WINDOW_BEFORE_DATA, f"The window starts before the first data, of {_at(data_since)}."))
    if not window.kept(now):
        why.append((Reason.EXPIRED, f"The window starts before what the store keeps, which is {KEPT.days} days."))
    if complete_up_to is None:
        why.append((Reason.STRANDED, "The journal's retention took records before they were loaded."))
    elif complete_up_to < until:
        if now - complete_up_to <= GRACE and window.since < complete_up_to:
            until = complete_up_to
        else:
            why.append((Reason.LAG, f"Records that arrived after {_at(complete_up_to)} are not loaded yet."))
    if gone["lost"]:
        why.append((Reason.STRANDED, f"The journal's retention took {gone['lost']:,} records before they were loaded."))
    if (missing := ledger["missing"]) > 0:
        why.append((Reason.MISSING, f"Agents have numbered {missing:,} reports that did not arrive (yet)."))
    if orphans := requests["orphans"]:
        why.append((Reason.ORPHANS, f"{orphans:,} requests name an operation whose description has not arrived."))
    if blind := requests["blind"]:
        why.append((Reason.NOT_ANALYSED, f"{blind:,} requests could not be analysed by the agent that reported them."))
    for row in losses:
        why.append((Reason.LOST, f"Agents lost {row['lost']:,} requests: {row['reason']}."))
    if dead:
        words = ", ".join(f"{row['letters']:,} {row['reason']}" for row in dead)
        why.append((Reason.DEAD_LETTERS, f"Records could not be loaded and were put aside: {words}."))
    if rebuild:
        why += _of_rebuilds(rebuild, window)
    return About(
        org=scope.org,
        graph=scope.graph,
        since=window.since,
        until=until,
        bucket_seconds=int(window.bucket.total_seconds()),
        complete_up_to=complete_up_to,
        data_since=data_since,
        requests=requests["all"],
        coverage=tuple(sorted(coverage)),
        missing=tuple(sorted(FULL_COVERAGE - coverage)),
        complete=not why,
        incomplete=tuple(sentence for _, sentence in why),
        reasons=tuple(dict.fromkeys(reason for reason, _ in why)),
    )


def lesser_coverages(store: Store, scope: Scope, window: Window) -> frozenset[frozenset[Coverage]]:
    """What reporters see that do not see everything, of the shapes of the window."""
    parameters = queries.parameters(scope, window, full=len(FULL_COVERAGE))
    if not store.query(queries.LESSER_COVERAGES, parameters):
        return frozenset()
    rows = store.query(queries.COVERAGES, parameters)
    return frozenset(frozenset(map(Coverage, row["coverage"])) for row in rows)


def _of_rebuilds(note: Rebuild, window: Window) -> Iterator[tuple[Reason, str]]:
    first, last = window.since.date(), window.until.date()
    if note.unfinished and first <= note.last and note.first <= last:
        yield Reason.REBUILD, f"A rebuild of {note.days} is unfinished."
    if days := [day for day in note.hollow if first <= day <= last]:
        yield Reason.HOLLOW, f"The store has lost traffic of {spans(days)}: `forebay rebuild` loads it again."


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
