"""chDB as a server's engine: each statement on a connection of its own, so that none sees another's settings."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import chdb

# What the HTTP interface takes for itself; every other parameter is a setting of the statement.
TRANSPORT = frozenset(
    (
        "query", "database", "default_format", "query_id", "session_id", "user", "password", "role", "quota_key",
        "compress", "decompress", "enable_http_compression", "buffer_size", "wait_end_of_query",
        "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    )
)  # fmt: skip


# An INSERT that brings its rows: what comes before and after the place of FROM INFILE, the format, the rows.
WITH_ROWS = re.compile(rb"\s*(INSERT\s+INTO\s[^;]*?)(\sSETTINGS\s[^;]*?)?\sFORMAT\s+(\w+)[ \t]*\r?\n?(.*)", re.S | re.I)


class EngineError(Exception):
    """ClickHouse's own exception."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Result:
    body: bytes
    format: str
    rows: int
    seconds: float


class Engine:
    """Statements may run at the same time.  One data directory per process."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._first = _connect(path)
        self.timezone = self._first.query("SELECT timezone()", "TabSeparated").bytes().decode().strip()

    def execute(self, statement: bytes, parameters: Mapping[str, str]) -> Result:
        """`parameters` as in the URL: database, `param_*`, settings."""
        settings = [f"{name} = {_quoted(value)}" for name, value in parameters.items() if _is_setting(name)]
        bound = [f"{name} = {_quoted(value)}" for name, value in parameters.items() if name.startswith("param_")]
        explicit = re.search(rb"\bFORMAT\s+(\w+)\s*;?\s*$", statement, re.IGNORECASE)
        format_ = explicit[1].decode() if explicit else parameters.get("default_format", "TabSeparated")
        rows = WITH_ROWS.fullmatch(statement)
        connection = _connect(self._path)
        try:
            if database := parameters.get("database"):
                connection.query(f"USE `{database}`")
            if settings or bound:
                connection.query("SET " + ", ".join(settings + bound))
            result = self._insert(connection, rows) if rows else connection.query(statement, format_)
            return Result(result.bytes() or b"", format_, result.rows_read(), result.elapsed())
        except RuntimeError as exc:
            message = str(exc)[max(str(exc).find("Code: "), 0) :]
            code = re.match(r"Code: (\d+)", message)
            raise EngineError(int(code[1]) if code else 1001, message) from exc
        finally:
            connection.close()

    def _insert(self, connection: Any, statement: re.Match[bytes]) -> Any:
        """Rows behind the statement's text are not taken whole by chDB, rows in a file are."""
        head, settings, format_, rows = (part or b"" for part in statement.groups())
        with tempfile.NamedTemporaryFile() as file:
            file.write(rows)
            file.flush()
            source = f" FROM INFILE '{file.name}'".encode()
            return connection.query(head + source + settings + b" FORMAT " + format_, "TabSeparated")


def _connect(path: str) -> Any:
    return chdb.connect(path)  # type: ignore[no-untyped-call]  # chdb has no types


def _is_setting(name: str) -> bool:
    return name not in TRANSPORT and not name.startswith("param_")


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
