"""Conservation: what was appended to the journal is in the store once, or in the dead letters, or was a repeat.

1. The ledger's ranges of each partition follow each other without gap or overlap up to what the
   loader has committed, and each accounts for every one of its records: loaded, or counted as lost
   where the journal's retention was faster than the loader.
2. Ranges that the journal still has are decoded again: requests appended = requests landed
   + those of repeats + those of dead letters.
3. The ledger's requests of each graph and day are those of the table of traffic, as long as it keeps the day;
   so are its errors by field and executions that were seen those of the table of executions.  That may hold more
   where records were lost unread: a loader that was killed may have inserted their executions before.
4. There are no more rows of traffic than tallies came in.

Beside it, what no journal can tell: agents number their reports, so `missing_reports` counts numbers that
were never loaded though later ones were.  They are lost (a topic deleted unread, a collector's disk), were
refused, or are still in some spill; so they are no difference.

A rebuild that is unfinished is a difference by itself.

The loader may run meanwhile.  What is committed is read first, so 1 and 2 judge only ranges
that are finished; each comparison of 3 and 4 is one query, asked again before it counts as a difference.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..core.record import TOPICS, Report, decode
from ..core.sequences import from_text, missing
from ..errors import RejectRecord, RetryLater
from ..journal.port import Journal, Partition
from ..store.port import Store
from ..store.rebuilds import unfinished
from . import conservation
from .answers import Scope
from .window import KEPT

MAX_DIFFERENCES = 20
ATTEMPTS = 5
PAUSE = 0.2
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Verification:
    """`compared` counts what was compared, by kind; `differences` are sentences, at most MAX_DIFFERENCES."""

    ok: bool
    compared: dict[str, int]
    first_difference: str | None
    differences: tuple[str, ...]


class Verifier:
    """Compares a journal and a store."""

    def __init__(self, store: Store, journal: Journal, group: str, pipeline: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._journal = journal
        self._group = group
        self._pipeline = pipeline
        self._clock = clock
        self._running = threading.Lock()

    def verify(self, scope: Scope | None = None) -> Verification:
        """Compare everything; with a scope, only the totals of that graph are named.

        It reads the whole journal: RetryLater while another one runs.
        """
        if not self._running.acquire(blocking=False):
            raise RetryLater("a verification is already running", retry_after=10)
        try:
            return self._compared(scope)
        finally:
            self._running.release()

    def _compared(self, scope: Scope | None) -> Verification:
        compared: Counter[str] = Counter()
        differences: list[str] = []
        for difference in self._differences(scope, compared):
            differences.append(difference)
            if len(differences) == MAX_DIFFERENCES:
                break
        first = differences[0] if differences else None
        return Verification(not differences, dict(compared), first, tuple(differences))

    def _differences(self, scope: Scope | None, compared: Counter[str]) -> Iterator[str]:
        if rebuild := unfinished(self._store):
            yield str(rebuild)
        for topic in TOPICS:
            for partition in self._journal.partitions(topic):
                yield from self._partition(partition, scope, compared)
        yield from self._steadily(lambda: self._totals(scope, compared))
        yield from self._steadily(lambda: self._outcomes(scope, compared))
        yield from self._steadily(lambda: self._rows(scope))

    def _partition(self, partition: Partition, scope: Scope | None, compared: Counter[str]) -> Iterator[str]:
        committed = self._journal.committed(self._group, partition)
        end = committed.offset if committed else self._journal.bounds(partition).low
        where = f"{partition.topic}[{partition.number}]"
        ours = {
            "pipeline": self._pipeline,
            "topic_id": self._journal.topic_id(partition.topic),
            "partition": partition.number,
            "committed": end,
        }
        summary = self._store.query(conservation.RANGES, ours)[0]
        compared["ranges"] += summary["ranges"]
        compared["records"] += summary["records"]
        compared["dead_letters"] += summary["dead_letters"]
        if summary["lost_records"]:  # known, counted and shown: no difference
            compared["lost_records"] += summary["lost_records"]
        self._gaps(partition, scope, compared)
        if not summary["ranges"]:
            if committed and committed.offset > self._journal.bounds(partition).low:
                yield f"{where}: offset {end} is committed and the ledger has no range"
            return
        if summary["high"] != end - 1:
            yield f"{where}: the ledger ends at offset {summary['high']}, committed is {end}"
        for row in self._store.query(conservation.BROKEN_RANGES, ours | {"limit": MAX_DIFFERENCES}):
            first, last = row["first_offset"], row["last_offset"]
            if row["n"] != last - first + 1:
                yield f"{where}: range {first}-{last} accounts for {row['n']} records"
            else:
                yield f"{where}: range {first}-{last} follows one that ends at {row['previous']}"
        yield from self._recomputed(partition, ours, scope, compared)

    def _gaps(self, partition: Partition, scope: Scope | None, compared: Counter[str]) -> None:
        ours = {"pipeline": self._pipeline, "topic": partition.topic, "partition": partition.number}
        for row in self._store.query(conservation.GAPS, ours):
            if scope is None or (row["org"], row["graph"]) == scope:
                compared["missing_reports"] += missing(from_text(row["held"]))

    def _recomputed(
        self, partition: Partition, ours: dict[str, Any], scope: Scope | None, compared: Counter[str]
    ) -> Iterator[str]:
        """Ranges that the journal still has in full, decoded again."""
        next_ = self._journal.bounds(partition).low
        while rows := self._store.query(conservation.PAGE_OF_RANGES, ours | {"next": next_, "limit": PAGE}):
            bounds = {"first": rows[0]["first_offset"], "last": rows[-1]["last_offset"]}
            letters = self._store.query(conservation.DEAD_LETTERS, ours | bounds)
            dead = {row["offset"]: (row["org"], row["graph"]) for row in letters}
            for row in rows:
                first, last = row["first_offset"], row["last_offset"]
                appended = self._appended(partition, first, last, dead)
                if appended is None:
                    continue  # retention took some of it meanwhile
                compared["ranges_decoded_again"] += 1
                ledger = {
                    (org, graph): (records, requests + repeats, letters)
                    for org, graph, records, requests, repeats, letters in row["accounts"]
                }
                for key in sorted(appended.keys() | ledger.keys()):
                    if scope is None or key == scope:
                        have, want = ledger.get(key, (0, 0, 0)), appended.get(key, (0, 0, 0))
                        if have != want:
                            yield (
                                f"{partition.topic}[{partition.number}]: range {first}-{last} of {'/'.join(key)} holds"
                                f" (records, requests, dead letters) {want}, the ledger says {have}"
                            )
            next_ = rows[-1]["last_offset"] + 1

    def _appended(
        self, partition: Partition, first: int, last: int, dead: dict[int, tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[int, int, int]] | None:
        """Per graph: records, requests that are not in dead letters, and dead letters."""
        totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        next_ = first
        while next_ <= last:
            fetched = self._journal.read(partition, next_, last - next_ + 1)
            if not fetched or fetched[0].offset != next_:
                return None
            for record in fetched:
                if owner := dead.get(record.offset):  # as it was when it was put aside: it may be readable by now
                    totals[owner][0] += 1
                    totals[owner][2] += 1
                    continue
                try:
                    decoded = decode(record.value)
                    key, requests = (
                        (decoded.org, decoded.graph),
                        (sum(decoded.requests) if isinstance(decoded, Report) else 0),
                    )
                except RejectRecord:
                    key, requests = ("", ""), 0
                totals[key][0] += 1
                totals[key][1] += requests
            next_ = fetched[-1].offset + 1
        return {key: (records, requests, letters) for key, (records, requests, letters) in totals.items()}

    def _totals(self, scope: Scope | None, compared: Counter[str]) -> list[str]:
        differences = []
        rows = self._store.query(conservation.TOTALS, _scoped(scope))
        for row in rows:
            if self._kept(row["day"]) and row["traffic"] != row["ledger"]:
                where, have, want = f"{row['org']}/{row['graph']} on {row['day']}", row["traffic"], row["ledger"]
                differences.append(f"{where}: the tallies hold {have:,} requests, the ledger {want:,}")
        compared["days"] = len(rows)
        compared["requests"] = sum(row["ledger"] for row in rows)
        return differences

    def _outcomes(self, scope: Scope | None, compared: Counter[str]) -> list[str]:
        rows = self._store.query(conservation.OUTCOMES, _scoped(scope))
        if rows:
            compared["outcomes"] = sum(row["ledger"] for row in rows)
        lost = bool(compared["lost_records"] or compared["missing_reports"])
        return [
            f"{row['org']}/{row['graph']} on {row['day']}: the table of executions holds {row['executions']:,}"
            f" errors and executions, the ledger {row['ledger']:,}"
            for row in rows
            if self._kept(row["day"])
            and (row["executions"] < row["ledger"] or (row["executions"] > row["ledger"] and not lost))
        ]

    def _kept(self, day: date) -> bool:
        """Does the store still hold all of the day?"""
        return day > datetime.fromtimestamp(self._clock(), UTC).date() - KEPT + timedelta(days=1)

    def _rows(self, scope: Scope | None) -> list[str]:
        return [
            f"there are {row['n']:,} rows of traffic, more than the {row['tallies']:,} tallies that the ledger counts"
            for row in self._store.query(conservation.ROWS, _scoped(scope))
            if row["n"] > row["tallies"]
        ]

    def _steadily(self, compare: Callable[[], list[str]]) -> list[str]:
        """Differences that stay: an insert under way may have reached one table and not yet the next."""
        for _ in range(ATTEMPTS - 1):
            if not compare():
                return []
            time.sleep(PAUSE)
        return compare()


def _scoped(scope: Scope | None) -> dict[str, Any]:
    org, graph = scope or ("", "")
    return {"everything": int(scope is None), "org": org, "graph": graph}
