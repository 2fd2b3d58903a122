"""ClickHouse through clickhouse-connect: `chdb:PATH` runs the engine in this process, `http(s)://…` a server.

Each insert is one Native block with one deduplication token, which every table behind the
landing table's views checks for itself.  Settings whose defaults moved between versions are
always sent.
"""

from __future__ import annotations

import importlib.resources
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.insert import InsertContext

from ..core.pressure import Trouble
from ..errors import RetryLater, Stop
from . import landing
from .port import AgentKey, Origin, Row, Seen

DATABASE = "forebay"

REMEMBERED_DAYS = 90
"""A report of an agent that has been silent for longer is taken for a new one."""

# Codes that mean "later": overload, memory, network, failover, read-only, disk.
# fmt: off
LATER = frozenset((
    3, 107, 159, 164, 198, 201, 202, 203, 209, 210, 236, 241, 242, 243, 244, 252, 254, 265, 279,
    285, 286, 289, 290, 297, 319, 364, 384, 425, 999, 1000,
))
# fmt: on

REASONS = {
    Trouble.TOO_MANY_PARTS: (252,),
    Trouble.MEMORY: (241,),
    Trouble.TIMEOUT: (159, 209),
    Trouble.READ_ONLY: (164, 242, 243),
    Trouble.AWAY: (3, 198, 210, 279, 999),
}

EXACT = {
    "async_insert": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "insert_deduplicate": 1,
    "max_insert_threads": 1,
    "optimize_on_insert": 0,  # the views have grouped already: merging equal keys once more costs a tenth
    "wait_end_of_query": 1,
}


class ClickHouse:
    """Implements `Store`.  Safe to share between threads; calls run one after the other."""

    def __init__(self, dsn: str, database: str = DATABASE) -> None:
        self._lock = threading.Lock()
        self._database = database
        self._embedded = dsn.startswith("chdb:")
        self._client = self._connect(dsn)

    def migrate(self) -> None:
        scripts = sorted(importlib.resources.files(__package__).joinpath("migrations").iterdir(), key=lambda f: f.name)
        done = {row["number"] for row in self.query("SELECT number FROM migrations")}
        known = {int(script.name[:4]) for script in scripts if script.name.endswith(".sql")}
        if done - known:
            raise Stop(f"the store was made by a newer Forebay (migration {max(done)}): upgrade to open it")
        for table in landing.TABLES:
            self._command(landing.create_table(table))
        for script in scripts:
            number = script.name[:4]
            if script.name.endswith(".sql") and int(number) not in done:
                for statement in _statements(script.read_text()):
                    self._command(statement)
                self._command(f"INSERT INTO migrations VALUES ({int(number)})")
        self._check_deduplication()
        if self._embedded:
            self._fsync_parts()

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        known = landing.TABLES[table]
        columns = sorted(set().union(*rows), key=list(known).index)
        types = [known[column] for column in columns]
        empty = [landing.empty_value(type_) for type_ in types]
        data = [[row.get(column, value) for row in rows] for column, value in zip(columns, empty, strict=True)]
        context = InsertContext(
            f"{self._database}.{table}",
            columns,
            [get_from_name(type_) for type_ in types],
            data=data,
            column_oriented=True,
            settings={**EXACT, "insert_deduplication_token": token},
            block_size=len(rows),  # one block, whatever its size: the token stands for all of it
        )
        self._run(lambda: self._client.data_insert(context))

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        result = self._run(lambda: self._client.query(sql, parameters=dict(parameters or {})))
        return list(result.named_results())

    def parts(self) -> int:
        counts = (
            "SELECT count() AS n FROM system.parts WHERE active AND database = {database:String}"
            " GROUP BY table, partition_id"
        )
        return int(self.query(f"SELECT max(n) AS most FROM ({counts})", {"database": self._database})[0]["most"])

    def seen(self, origin: Origin) -> dict[AgentKey, Seen]:
        rows = self.query(
            "SELECT org, graph, agent, argMax((first_offset, last_offset, before, after), last_offset) AS latest"
            " FROM ledger ARRAY JOIN seen_agent AS agent, seen_before AS before, seen_after AS after"
            " WHERE pipeline = {pipeline:String} AND topic_id = {topic_id:String} AND partition = {partition:UInt32}"
            f" AND last_appended > now() - INTERVAL {REMEMBERED_DAYS} DAY GROUP BY org, graph, agent",
            {"pipeline": origin.pipeline, "topic_id": origin.topic_id, "partition": origin.partition},
        )
        return {(row["org"], row["graph"], row["agent"]): Seen(*row["latest"]) for row in rows}

    def close(self) -> None:
        self._client.close()

    def _connect(self, dsn: str) -> Client:
        try:
            if self._embedded:
                path = Path(dsn.removeprefix("chdb:"))
                client: Client = clickhouse_connect.get_client(interface="chdb", path=str(path))
            else:
                client = clickhouse_connect.get_client(dsn=dsn, autogenerate_session_id=False)
            client.command(f"CREATE DATABASE IF NOT EXISTS {self._database}")
            client.database = self._database
            client.command("CREATE TABLE IF NOT EXISTS migrations (number UInt32) ENGINE = MergeTree ORDER BY number")
        except (ClickHouseError, OSError) as exc:
            raise Stop(f"the store {dsn} cannot be opened: {_first_line(exc)}") from exc
        return client

    def _check_deduplication(self) -> None:
        rows = self.query(
            "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
            " AND name != 'migrations' AND NOT match(engine_full, 'deduplication_window = [1-9]') ORDER BY name",
            {"database": self._database},
        )
        if rows:
            names = ", ".join(row["name"] for row in rows)
            raise Stop(f"no deduplication window on {names}: a retry would count twice; recreate these tables")

    def _fsync_parts(self) -> None:
        """Without replicas an insert must survive the loss of power by itself: the loader is about to confirm it."""
        rows = self.query(
            "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
            " AND position(engine_full, 'fsync_after_insert') = 0",
            {"database": self._database},
        )
        for row in rows:
            self._command(f"ALTER TABLE {row['name']} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1")

    def _command(self, sql: str) -> None:
        self._run(lambda: self._client.command(sql))

    def _run(self, call: Any) -> Any:
        with self._lock:
            try:
                return call()
            except (ClickHouseError, OSError) as exc:
                raise _mapped(exc) from exc


def _statements(script: str) -> Iterator[str]:
    """The statements of a migration; one that was cut short goes on where it stopped."""
    for text in re.sub(r"--.*", "", script).split(";"):
        if statement := re.sub(r"^CREATE ((MATERIALIZED )?VIEW|TABLE) ", r"CREATE \1 IF NOT EXISTS ", text.strip()):
            tables = landing.TABLES if "{landing}" in statement else ("",)
            yield from (statement.replace("{landing}", table) for table in tables)


def _mapped(exc: Exception) -> RetryLater | Stop:
    code = re.search(r"Code: (\d+)", str(exc))
    if code is None or int(code[1]) in LATER:
        reason = next((word for word, codes in REASONS.items() if code and int(code[1]) in codes), Trouble.OTHER)
        return RetryLater(
            f"the store is not able to: {_first_line(exc)}", retry_after=1, reason=reason if code else Trouble.AWAY
        )
    return Stop(f"the store refuses: {_first_line(exc)}")


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0][:500] if str(exc).strip() else type(exc).__name__
