"""The embedded journal: one SQLite file in WAL mode, fsynced at each commit.

One thread writes.  Appends and commits that wait while it works share the next transaction, so
one fsync serves many reports.  Each topic is a table with one partition.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from ..errors import RetryLater, Stop
from ..steps import reached
from .port import Assigned, Bounds, Commit, Fetched, Lost, Message, Partition, Polled, Retention

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS topic (name TEXT PRIMARY KEY, id TEXT NOT NULL, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS consumer_commit (
  consumer_group TEXT, topic TEXT, next_offset INTEGER NOT NULL, metadata TEXT NOT NULL,
  PRIMARY KEY (consumer_group, topic)
);
"""
TOPIC_SCHEMA = """
CREATE TABLE IF NOT EXISTS "{topic}" (
  offset INTEGER PRIMARY KEY, appended INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL
)
"""


ROWS_PER_STATEMENT = 500
"""Each statement hands Python's lock to the collector and back, so a group of appends shares few of them."""


class _Append(NamedTuple):
    """Records for the writer's next transaction."""

    messages: Sequence[Message]
    appended: int
    done: Future[None]


class _Change(NamedTuple):
    """Something else to be made durable in it."""

    apply: Callable[[sqlite3.Connection], object]
    done: Future[None]


class SqliteJournal:
    """Implements `Journal` and its promises on one file."""

    def __init__(self, path: Path, topics: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._writes: queue.SimpleQueue[_Append | _Change | None] = queue.SimpleQueue()
        self._arrived = threading.Condition()
        self._appends = 0  # grows with each durable append, so that a waiting consumer misses none
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        try:
            self._create(topics)
        except sqlite3.Error as exc:
            raise Stop(f"the journal {path} cannot be opened: {exc}") from exc
        self._writer = threading.Thread(target=self._write, name="journal-writer", daemon=True)
        self._writer.start()

    def append(self, messages: Sequence[Message]) -> Future[None]:
        if unknown := {message.topic for message in messages} - self._next.keys():
            raise ValueError(f"no such topic: {unknown}")
        write = _Append(messages, int(self._clock() * 1000), _underway())
        self._writes.put(write)
        return write.done

    def commit(self, group: str, partition: Partition, offset: int, metadata: str) -> None:
        """Durable when it returns."""
        row = (group, partition.topic, offset, metadata)
        self._submit(lambda writer: writer.execute("REPLACE INTO consumer_commit VALUES (?, ?, ?, ?)", row)).result()

    def trim(self, partition: Partition, below: int, appended_before: int) -> int:
        """Delete records that are both below an offset and older than a time in ms; how many went."""
        gone = 0

        def apply(connection: sqlite3.Connection) -> None:
            nonlocal gone
            where = f'FROM "{partition.topic}" WHERE offset < ? AND appended < ?'
            gone = connection.execute(f"DELETE {where}", (below, appended_before)).rowcount

        self._submit(apply).result()
        return gone

    def consumer(self, group: str, topics: Sequence[str]) -> SqliteConsumer:
        return SqliteConsumer(self, group, [partition for topic in topics for partition in self.partitions(topic)])

    def partitions(self, topic: str) -> list[Partition]:
        return [Partition(topic, 0)]

    def topic_id(self, topic: str) -> str:
        return str(self._reader().execute("SELECT id FROM topic WHERE name = ?", (topic,)).fetchone()[0])

    def bounds(self, partition: Partition) -> Bounds:
        query = f'SELECT (SELECT min(offset) FROM "{partition.topic}"), next FROM topic WHERE name = ?'
        low, high = self._reader().execute(query, (partition.topic,)).fetchone()
        return Bounds(high if low is None else low, high)

    def retention(self, topic: str) -> Retention:
        return Retention()  # `trim` takes only what is loaded

    def under_replicated(self, topic: str) -> list[Partition]:
        return []

    def committed(self, group: str, partition: Partition) -> Commit | None:
        query = "SELECT next_offset, metadata FROM consumer_commit WHERE consumer_group = ? AND topic = ?"
        row = self._reader().execute(query, (group, partition.topic)).fetchone()
        return Commit(*row) if row else None

    def members(self, group: str) -> list[str]:
        return []  # another process could not have opened the data directory

    def read(self, partition: Partition, first: int, limit: int, max_bytes: int = 2**24) -> list[Fetched]:
        query = f'SELECT offset, appended, value FROM "{partition.topic}" WHERE offset >= ? ORDER BY offset LIMIT ?'
        records: list[Fetched] = []
        size = 0
        for row in self._reader().execute(query, (first, limit)):
            size += len(row[2])
            if records and size > max_bytes:
                break
            records.append(Fetched(*row))
        return records

    def wait(self, appends: int, timeout: float) -> int:
        """Return the number of durable appends so far, at once if it is not `appends`, else after a change."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._appends != appends, timeout)
            return self._appends

    def close(self) -> None:
        """Make durable what was submitted, then let go of the file."""
        self._writes.put(None)
        self._writer.join()
        for connection in self._connections:
            connection.close()

    def _create(self, topics: Sequence[str]) -> None:
        connection = self._connect()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise Stop(f"{self._path} was written by a newer Forebay (journal version {version}): upgrade to open it")
        connection.executescript(SCHEMA)
        for topic in topics:
            connection.execute(TOPIC_SCHEMA.format(topic=topic))
            connection.execute("INSERT OR IGNORE INTO topic VALUES (?, ?, 0)", (topic, uuid.uuid4().hex))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._next: dict[str, int] = dict(connection.execute("SELECT name, next FROM topic").fetchall())
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        # Autocommit: transactions are spelled out where they begin and end.
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA page_size = 16384")  # of a new file: a report spans few pages instead of many
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 250")  # appends wait while 4 MiB are copied, not 16
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._connections.append(connection)
        return connection

    def _submit(self, apply: Callable[[sqlite3.Connection], object]) -> Future[None]:
        write = _Change(apply, _underway())
        self._writes.put(write)
        return write.done

    def _write(self) -> None:
        connection = self._connect()
        while (first := self._writes.get()) is not None:
            group: list[_Append | _Change] = [first]
            last = False
            while not self._writes.empty():
                if (write := self._writes.get()) is None:
                    last = True
                    break
                group.append(write)
            self._transact(connection, group)
            if last:
                break
        connection.close()

    def _transact(self, connection: sqlite3.Connection, group: list[_Append | _Change]) -> None:
        before = dict(self._next)
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._insert(connection, [write for write in group if isinstance(write, _Append)])
            for write in group:
                if isinstance(write, _Change):
                    write.apply(connection)
            reached("journal.begun")
            connection.execute("COMMIT")
            reached("journal.durable")
        except sqlite3.Error as exc:
            self._next = before
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for write in group:
                write.done.set_exception(RetryLater(f"the journal could not write: {exc}", retry_after=5))
            return
        for write in group:
            write.done.set_result(None)
        with self._arrived:
            self._appends += 1
            self._arrived.notify_all()

    def _insert(self, connection: sqlite3.Connection, appends: list[_Append]) -> None:
        fields: dict[str, list[object]] = {}  # by topic, row after row
        for append in appends:
            for topic, key, value in append.messages:
                fields.setdefault(topic, []).extend((self._next[topic], append.appended, key, value))
                self._next[topic] += 1
        for topic, values in fields.items():
            for start in range(0, len(values), 4 * ROWS_PER_STATEMENT):
                part = values[start : start + 4 * ROWS_PER_STATEMENT]
                rows = ", ".join(["(?, ?, ?, ?)"] * (len(part) // 4))
                connection.execute(f'INSERT INTO "{topic}" VALUES {rows}', part)
            connection.execute("UPDATE topic SET next = ? WHERE name = ?", (self._next[topic], topic))


def _underway() -> Future[None]:
    """A future that who waits for it can't cancel: setting its result would end the writer's thread."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


class SqliteConsumer:
    """The only member of its group: the data directory's lock sees to that."""

    def __init__(self, journal: SqliteJournal, group: str, partitions: Sequence[Partition]) -> None:
        self._journal = journal
        self._group = group
        self._unassigned = list(partitions)
        self._position: dict[Partition, int] = {}
        self._appends = -1

    def poll(self, timeout: float, paused: frozenset[Partition] = frozenset()) -> Polled:
        polled = Polled()
        for partition in self._unassigned:
            committed = self._journal.committed(self._group, partition)
            bounds = self._journal.bounds(partition)
            self._position[partition] = committed.offset if committed else bounds.low
            polled.assigned.append(Assigned(partition, self._journal.topic_id(partition.topic), committed, bounds))
        self._unassigned = []
        if not polled.assigned and not self._fetch(polled, paused):
            self._appends = self._journal.wait(self._appends, timeout)
            self._fetch(polled, paused)
        return polled

    def commit(self, partition: Partition, offset: int, metadata: str) -> None:
        if partition not in self._position:
            raise Lost(f"{partition.topic} is not ours")
        self._journal.commit(self._group, partition, offset, metadata)

    def close(self) -> None:
        self._position.clear()

    def _fetch(self, polled: Polled, paused: frozenset[Partition]) -> bool:
        for partition in self._position.keys() - paused:
            if records := self._journal.read(partition, self._position[partition], limit=2_000, max_bytes=2**22):
                polled.records[partition] = records
                self._position[partition] = records[-1].offset + 1
        return bool(polled.records)
