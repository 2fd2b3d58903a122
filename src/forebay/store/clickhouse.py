"""ClickHouse through clickhouse-connect: `chdb:PATH` runs the engine in this process, `http(s)://…` a server.

Each insert is one Native block with one deduplication token, which every table behind the
landing table's views checks for itself.  Settings whose defaults moved between versions are
always sent.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.insert import InsertContext

from ..errors import RetryLater, Stop
from . import landing, migrate
from .condition import OK, Condition, condition_of
from .connection import connect, target
from .failure import FAILURES, failure
from .port import AgentKey, Origin, Row, Seen
from .window import EMBEDDED, Window

T = TypeVar("T")

DATABASE = "forebay"

REMEMBERED_DAYS = 90
"""A report of an agent that has been silent for longer is taken for a new one."""

SEEN = f"""
SELECT org, graph, agent, argMax((ours, latest), (ours, until)) AS held FROM (
  SELECT org, graph, agent, topic_id = {{topic_id:String}} AS ours, max(last_appended) AS until,
    argMax((first_offset, last_offset, before, after), last_offset) AS latest
  FROM ledger ARRAY JOIN seen_agent AS agent, seen_before AS before, seen_after AS after
  WHERE pipeline = {{pipeline:String}} AND topic = {{topic:String}} AND partition = {{partition:UInt32}}
    AND last_appended > now() - INTERVAL {REMEMBERED_DAYS} DAY
  GROUP BY org, graph, agent, topic_id
) GROUP BY org, graph, agent
"""
"""Within one incarnation of the topic offsets say what is latest, not the clock, which may jump."""

BOUNDED = {"send_progress_in_http_headers": 0}
"""For a server: each header of progress would begin the time for an answer anew; so it answers in time or is slow."""

EXACT = {
    "async_insert": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "insert_deduplicate": 1,
    "max_insert_threads": 1,
    "optimize_on_insert": 0,  # the views have grouped already: merging equal keys once more costs a tenth
    "wait_end_of_query": 1,
}


class ClickHouse:
    """Implements `Store`.  Safe to share between threads; only the engine in this process takes calls in turn."""

    def __init__(self, dsn: str, database: str = DATABASE) -> None:
        """Opens the engine in this process at once, or Stop; a server with the first call, which may be RetryLater."""
        self._target = target(dsn, database)
        self.database = self._target.database
        self._connecting = threading.Lock()
        self._client: Client | None = None
        # clickhouse-connect's HTTP client may be shared between threads as long as it has no session.
        self._turn = threading.Lock() if self._target.embedded else contextlib.nullcontext()
        self._settings = {} if self._target.embedded else BOUNDED
        self._trouble: Condition | None = None
        if self._target.embedded:
            self._connected()

    def migrate(self, window: Window = EMBEDDED, restore: Container[str] = ()) -> None:
        """Of what was dropped, these are made again, empty."""
        migrate.migrate(self, window, restore)

    def check(self, window: Window = EMBEDDED) -> None:
        migrate.check_schema(self)
        migrate.check_windows(self, window)

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        known = landing.TABLES[table]
        columns = sorted(set().union(*rows), key=list(known).index)
        types = [known[column] for column in columns]
        empty = [landing.empty_value(type_) for type_ in types]
        data = [[row.get(column, value) for row in rows] for column, value in zip(columns, empty, strict=True)]
        context = InsertContext(
            f"{self.database}.{table}",
            columns,
            [get_from_name(type_) for type_ in types],
            data=data,
            column_oriented=True,
            settings={**self._settings, **EXACT, "insert_deduplication_token": token},
            block_size=len(rows),  # one block, whatever its size: the token stands for all of it
        )
        try:
            self._run(lambda client: client.data_insert(context))
        except (RetryLater, Stop) as exc:
            self._trouble = condition_of(exc)
            raise
        self._trouble = None

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        bound = dict(parameters or {})
        result = self._run(lambda client: client.query(sql, parameters=bound, settings=self._settings))
        return list(result.named_results())

    def loaded(self, origin: Origin) -> int:
        [row] = self.query(
            "SELECT count() AS ranges, max(last_offset) AS last FROM ledger WHERE pipeline = {pipeline:String}"
            " AND topic = {topic:String} AND topic_id = {topic_id:String} AND partition = {partition:UInt32}",
            asdict(origin),
        )
        return int(row["last"]) + 1 if row["ranges"] else 0

    def seen(self, origin: Origin) -> dict[AgentKey, Seen]:
        rows = self.query(SEEN, asdict(origin))
        return {(row["org"], row["graph"], row["agent"]): _seen(*row["held"]) for row in rows}

    def condition(self) -> Condition:
        try:
            migrate.check_schema(self)
        except (RetryLater, Stop) as exc:
            return condition_of(exc)
        return self._trouble or OK

    def parts(self) -> int:
        [row] = self.query(
            "SELECT max(n) AS most FROM (SELECT count() AS n FROM system.parts"
            " WHERE database = {database:String} AND active GROUP BY table, partition_id)",
            {"database": self.database},
        )
        return int(row["most"])

    def command(self, sql: str, *, inside: bool = True) -> None:
        """A statement without an answer; `inside` the database, or beside it as long as it is not there."""
        self._run(lambda client: client.command(sql, settings=self._settings, use_database=inside))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _connected(self) -> Client:
        with self._connecting:
            if self._client is None:
                self._client = connect(self._target)
            return self._client

    def _run(self, call: Callable[[Client], T]) -> T:
        client = self._connected()
        with self._turn:
            try:
                return call(client)
            except FAILURES as exc:
                raise failure(exc) from exc


def _seen(current: bool, latest: tuple[int, int, str, str]) -> Seen:
    """What an earlier incarnation of the topic held stands below all of this one."""
    after = latest[-1]
    return Seen(*latest) if current else Seen(-1, -1, after, after)
