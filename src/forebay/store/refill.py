"""What a rebuild asks of the store, and what it does to it: days are emptied, ranges of the ledger replaced.

`ALTER TABLE … DELETE` takes what was inserted before it and nothing that comes after, so rows may
follow at once; it is waited for all the same, because answers and the disk should follow too.
A range's rows of a new epoch stand beside those of the former one until `replace` takes these away.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ..core.record import TALLIES
from ..errors import RejectRecord, RetryLater
from . import migrate
from .clickhouse import ClickHouse
from .port import AgentKey, Origin
from .rebuilds import Rebuild, State, latest
from .window import Window

DAY_ONE = date(1970, 1, 1)
PAGE = 1_000
"""Rows of the ledger that are looked at together."""
RUNS_PER_DELETE = 500
LATE = timedelta(hours=1)
"""Ranges appended until so long after the days are read as well, whatever the ledger says of them."""

_DAYS = "JSONExtractKeysAndValues(detail, 'days', 'UInt64')"
_OURS = """pipeline = {pipeline:String} AND topic = {topic:String} AND topic_id = {topic_id:String}
  AND partition = {partition:UInt32}"""

SOURCES = f"""
SELECT pipeline, topic_id, partition, toUInt16(pair.1) AS number, min(first_offset) AS first
FROM ledger ARRAY JOIN {_DAYS} AS pair
WHERE number BETWEEN {{first_day:UInt16}} AND {{last_day:UInt16}} AND epoch <= {{stands:UInt32}}
GROUP BY pipeline, topic_id, partition, number ORDER BY number, pipeline, topic_id, partition
"""

COVERED = f"""
SELECT count() AS ranges, min(first_offset) AS first, max(last_offset) AS last, sum(records) AS n FROM (
  SELECT first_offset, last_offset, sum(ledger.records) AS records FROM ledger
  WHERE {_OURS} AND last_offset >= {{low:Int64}} AND epoch <= {{stands:UInt32}}
  GROUP BY first_offset, last_offset, epoch ORDER BY first_offset, epoch LIMIT 1 BY first_offset
)
"""

BOUND = f"""
SELECT count() AS n, max(first_offset) AS bound FROM (
  SELECT first_offset FROM ledger WHERE {_OURS} AND first_offset >= {{next:Int64}} ORDER BY first_offset LIMIT {PAGE}
)
"""
# Pages by offsets: a page by its number of ranges would group all that follow, again and again.

RANGES = f"""
SELECT first_offset, last_offset, groupArray((org, graph, seen_agent, seen_before, seen_after)) AS accounts
FROM ledger
WHERE {_OURS} AND first_offset BETWEEN {{next:Int64}} AND {{bound:Int64}} AND epoch <= {{stands:UInt32}}
  AND lost_records = 0
GROUP BY first_offset, last_offset
HAVING max(last_appended) >= toDateTime({{since:Int64}}, 'UTC')
  AND min(first_appended) < toDateTime({{until:Int64}}, 'UTC')
  OR max(arrayExists(pair -> toUInt16(pair.1) BETWEEN {{first_day:UInt16}} AND {{last_day:UInt16}}, {_DAYS}))
ORDER BY first_offset
"""

DEAD = f"""
SELECT offset, org, graph, reason, message FROM dead_letters
WHERE {_OURS} AND offset BETWEEN {{first:Int64}} AND {{last:Int64}} AND epoch <= {{stands:UInt32}}
"""

TRAFFIC = """
SELECT toDate(time) AS day, sum(requests) AS n FROM traffic
WHERE time >= toDateTime({since:Int64}, 'UTC') AND time < toDateTime({until:Int64}, 'UTC') GROUP BY day
"""

_HELD = {
    "traffic": ("days", "requests"),
    "executions": ("executions", "errors + sampled"),
}
"""Table → the ledger's counts by day of what it holds, and what it holds of them."""

HOLLOW = """
SELECT DISTINCT day FROM (SELECT org, graph, day FROM ({rows}) GROUP BY org, graph, day HAVING sum(l) > sum(t))
WHERE day >= {{kept:Date}}
"""

RUNS = """
SELECT topic_id, partition, min(first_offset) AS first, max(last_offset) AS last FROM (
  SELECT topic_id, partition, first_offset, last_offset,
    sum(first_offset != previous + 1) OVER (PARTITION BY topic_id, partition ORDER BY first_offset) AS run
  FROM (
    SELECT topic_id, partition, first_offset, last_offset, lagInFrame(last_offset, 1, -2) OVER (
      PARTITION BY topic_id, partition ORDER BY first_offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS previous
    FROM (SELECT DISTINCT topic_id, partition, first_offset, last_offset FROM ledger
      WHERE pipeline = {pipeline:String} AND epoch = {epoch:UInt32})
  )
) GROUP BY topic_id, partition, run ORDER BY topic_id, partition, first
"""

BARE = f"""
SELECT DISTINCT org, graph, lower(hex(shape)) AS id FROM shapes
WHERE entries != '[]' AND (org, graph, shape) NOT IN (SELECT org, graph, shape FROM shape_entries) LIMIT {PAGE}
"""

SEEN = "INSERT INTO shape_seen SELECT org, graph, shape, max(time) FROM traffic GROUP BY org, graph, shape"
FIELD_TYPES = """
INSERT INTO field_types SELECT org, graph, coordinate, named_type, max(received)
FROM shape_entries WHERE kind = 'field' GROUP BY org, graph, coordinate, named_type
"""
ANY = "SELECT DISTINCT toDate(time) AS day FROM traffic"
UNSEEN = f"""{ANY}
WHERE (org, graph, shape) NOT IN (SELECT org, graph, shape FROM shape_seen)
"""

UNDER_WAY = """
SELECT count() AS n, max(latest_fail_reason) AS why FROM system.mutations
WHERE database = {database:String} AND table = {table:String} AND NOT is_done
"""


@dataclass(frozen=True, slots=True)
class Days:
    """UTC days, both included."""

    first: date
    last: date

    @property
    def numbers(self) -> range:
        """As days since the epoch."""
        return range((self.first - DAY_ONE).days, (self.last - DAY_ONE).days + 1)

    def parameters(self) -> dict[str, int]:
        numbers = self.numbers
        times = {"since": numbers.start * 86_400, "until": numbers.stop * 86_400}
        return {"first_day": numbers.start, "last_day": numbers.stop - 1, **times}


@dataclass(frozen=True, slots=True)
class Source:
    """A partition of some log from which traffic of a day was loaded, and the first offset that held any."""

    pipeline: str
    topic_id: str
    partition: int
    day: date
    first: int


@dataclass(frozen=True, slots=True)
class Ledgered:
    """A range of the ledger: which sequences of which agents the log held below it, and with it."""

    first: int
    last: int
    before: Mapping[AgentKey, str]
    after: Mapping[AgentKey, str]


class Refill:
    """On one store, for one rebuild at a time.  `kept`: the first day that the table of traffic still has."""

    def __init__(self, store: ClickHouse, window: Window, kept: date) -> None:
        self._store = store
        self._window = window
        self._kept = kept

    def dropped(self) -> set[str]:
        """Tables and views that are not there."""
        return migrate.dropped(self._store)

    def keep_notes(self) -> None:
        """Of all that may have been dropped, the notes are needed first.

        What the ledger has then counts as whole: had a rebuild been unfinished, the next one replaces its ranges.
        """
        if "rebuilds" in self.dropped():
            self._store.migrate(self._window, restore=("rebuilds",))
            [row] = self._store.query("SELECT max(epoch) AS epoch FROM ledger")
            if row["epoch"]:
                self.note(row["epoch"], State.FINISHED, Days(DAY_ONE, DAY_ONE))

    def restore(self) -> None:
        """Make what was dropped anew, empty.

        A shape without its entries would seem to use nothing; without the shape, its requests are
        known to name something that is not there.  When shapes were last requested is read from the
        traffic, whatever is known of it: only the latest time counts.  Types of fields are read from
        the entries.
        """
        gone = self.dropped()
        if "shape_entries" in gone and "shapes" not in gone:
            self._store.command("TRUNCATE TABLE shapes")
        elif "shapes" not in gone:
            while bare := self._store.query(BARE):
                listed = ", ".join(f"({_text(row['org'])}, {_text(row['graph'])}, '{row['id']}')" for row in bare)
                self._delete("shapes", f"(org, graph, lower(hex(shape))) IN ({listed})")
        self._store.migrate(self._window, restore=gone)
        self._store.command(SEEN)
        self._store.command(FIELD_TYPES)

    def stands(self) -> int:
        """The latest epoch whose rows in the ledger are whole."""
        [row] = self._store.query(
            f"SELECT max(epoch) AS epoch FROM rebuilds WHERE state IN ('{State.LOADED}', '{State.FINISHED}')"
        )
        return int(row["epoch"])

    def note(self, epoch: int, state: State, days: Days) -> None:
        """Durable when it returns.  Which days are hollow is found out for each note."""
        former = latest(self._store)
        hollow = ", ".join(f"'{day}'" for day in self._hollow())
        self._store.command(
            "INSERT INTO rebuilds (number, epoch, state, first_day, last_day, hollow) VALUES"
            f" ({former.number + 1 if former else 1}, {epoch}, '{state}', '{days.first}', '{days.last}', [{hollow}])"
        )

    def latest(self) -> Rebuild | None:
        return latest(self._store)

    def sources(self, days: Days) -> list[Source]:
        """By day."""
        rows = self._store.query(SOURCES, days.parameters() | {"stands": self.stands()})
        return [
            Source(row["pipeline"], row["topic_id"], row["partition"], DAY_ONE + timedelta(row["number"]), row["first"])
            for row in rows
        ]

    def covers(self, origin: Origin, low: int, end: int | None) -> bool:
        """Does the ledger account for every record from `low` to `end`, or as far as it goes?"""
        asked = _ours(origin) | {"low": low, "stands": self.stands()}
        [row] = self._store.query(COVERED, asked)
        if not row["ranges"]:
            return end is None or end <= low
        whole = row["n"] == row["last"] - row["first"] + 1
        return bool(whole and row["first"] <= low and (end is None or row["last"] >= end - 1))

    def ranges(self, origin: Origin, low: int, days: Days) -> Iterator[list[Ledgered]]:
        """Pages of the ranges from `low` on that hold, or may hold, tallies of these days."""
        asked = _ours(origin) | days.parameters() | {"stands": self.stands(), "next": low}
        asked["until"] += int(LATE.total_seconds())
        while (page := self._store.query(BOUND, asked)[0])["n"]:
            asked["bound"] = page["bound"]
            yield [_ledgered(row) for row in self._store.query(RANGES, asked)]
            asked["next"] = page["bound"] + 1

    def dead(self, origin: Origin, first: int, last: int) -> dict[int, tuple[tuple[str, str], RejectRecord]]:
        """Records of these offsets that were put aside, with whose they were and why."""
        asked = _ours(origin) | {"first": first, "last": last, "stands": self.stands()}
        return {
            row["offset"]: ((row["org"], row["graph"]), RejectRecord(row["reason"], row["message"]))
            for row in self._store.query(DEAD, asked)
        }

    def traffic(self, days: Days) -> dict[date, int]:
        """Requests by day."""
        if "traffic" in self.dropped():
            return {}
        parameters = days.parameters()
        return {row["day"]: row["n"] for row in self._store.query(TRAFFIC, parameters)}

    def empty(self, days: Days) -> None:
        """Take the days out of every table that goes by days, and what an unfinished rebuild left in the ledger."""
        times = days.parameters()
        self.forget()
        since, until = (f"toDateTime({times[name]}, 'UTC')" for name in ("since", "until"))
        for table in ("traffic", "executions"):
            self._delete(table, f"time >= {since} AND time < {until}")

    def forget(self) -> None:
        """Take out of the ledger what an unfinished rebuild left there."""
        self._delete("ledger", f"epoch > {self.stands()}")

    def replace(self, pipeline: str, epoch: int) -> None:
        """Of ranges that the ledger has in this epoch take away those of former ones."""
        runs = self._store.query(RUNS, {"pipeline": pipeline, "epoch": epoch})
        for start in range(0, len(runs), RUNS_PER_DELETE):
            chosen = " OR ".join(
                f"topic_id = '{run['topic_id']}' AND partition = {run['partition']}"
                f" AND first_offset BETWEEN {run['first']} AND {run['last']}"
                for run in runs[start : start + RUNS_PER_DELETE]
            )
            ours = f"pipeline = '{pipeline}' AND topic = '{TALLIES}'"
            self._delete("ledger", f"{ours} AND epoch < {epoch} AND ({chosen})")

    def _hollow(self) -> list[date]:
        """Days on which some graph has less traffic than the ledger says, or shapes that no window would have."""
        gone = self.dropped()
        asked = {"stands": self.stands(), "kept": self._kept}
        days: set[date] = set()
        for table, (told, held) in _HELD.items():
            by_day = f"JSONExtractKeysAndValues(detail, '{told}', 'UInt64')"
            rows = (
                "SELECT org, graph, toDate(toUInt16(pair.1)) AS day, pair.2 AS l, 0 AS t"
                f" FROM ledger ARRAY JOIN {by_day} AS pair WHERE epoch <= {{stands:UInt32}}"
            )
            if table not in gone:
                rows += f" UNION ALL SELECT org, graph, toDate(time) AS day, 0 AS l, {held} AS t FROM {table}"
            days |= {row["day"] for row in self._store.query(HOLLOW.format(rows=rows), asked)}
        if "traffic" not in gone:
            days |= {row["day"] for row in self._store.query(ANY if "shape_seen" in gone else UNSEEN)}
        return sorted(days)

    def _delete(self, table: str, where: str) -> None:
        self._store.command(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 0")
        asked: dict[str, Any] = {"database": self._store.database, "table": table}
        while (row := self._store.query(UNDER_WAY, asked)[0])["n"]:
            if row["why"]:
                raise RetryLater(f"the store could not delete from {table}: {row['why'].splitlines()[0][:300]}")
            time.sleep(0.1)


def _ours(origin: Origin) -> dict[str, Any]:
    names = ("pipeline", "topic", "topic_id", "partition")
    return {name: getattr(origin, name) for name in names}


def _ledgered(row: dict[str, Any]) -> Ledgered:
    before: dict[AgentKey, str] = {}
    after: dict[AgentKey, str] = {}
    for org, graph, agents, befores, afters in row["accounts"]:
        keys = [(org, graph, agent) for agent in agents]
        before |= zip(keys, befores, strict=True)
        after |= zip(keys, afters, strict=True)
    return Ledgered(row["first_offset"], row["last_offset"], before, after)


def _text(value: str) -> str:
    """As ClickHouse writes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
