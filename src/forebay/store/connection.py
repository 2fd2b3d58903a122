"""How a DSN becomes a clickhouse-connect client.

`chdb:PATH` is the engine in this process.  `http(s)://user:password@host:port/database` is a server;
what stands behind `?` goes to clickhouse-connect (`connect_timeout`, `verify`, `ca_cert`, …).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3.util.retry import Retry

from ..errors import RetryLater, Stop
from .condition import State
from .failure import FAILURES, Unanswered, failure

OLDEST = (25, 8)
"""The oldest ClickHouse on which the store's tests pass."""

OPTIONS = {"connect_timeout": "5", "send_receive_timeout": "60", "compress": "lz4"}
"""Unless the DSN says otherwise.  Seconds; results and inserts travel compressed."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a DSN names.  `shown` is how it may be printed: without user and password."""

    dsn: str = field(repr=False)
    shown: str
    database: str
    embedded: bool


def target(dsn: str, database: str) -> Target:
    """`database` unless the DSN has its own; Stop if that is no DSN."""
    if dsn.startswith("chdb:"):
        return Target(dsn, dsn, database, embedded=True)
    parts = urlsplit(dsn)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Stop("a store is named chdb:PATH or http(s)://user:password@host:port/database")
    database = parts.path.strip("/") or database
    if not re.fullmatch(r"[A-Za-z_]\w*", database):
        raise Stop(f"{database!r} is no name for a database: letters, digits and _ only")
    # Without the path: clickhouse-connect would ask within a database that may not be there yet.
    query = urlencode(OPTIONS | dict(parse_qsl(parts.query)))
    return Target(parts._replace(path="", query=query).geturl(), shown, database, embedded=False)


def connect(to: Target) -> Client:
    """A client of an engine that is recent enough.  RetryLater while a server is away; else Stop."""
    try:
        client = _embedded(to) if to.embedded else _remote(to)
    except (*FAILURES, ValueError) as exc:
        error = failure(exc)
        message = f"the store {to.shown} cannot be opened: {error}"
        if isinstance(error, RetryLater) and not to.embedded:
            raise RetryLater(message, unsent=True, reason=error.reason) from exc
        raise Stop(message, reason=error.reason) from exc
    version = tuple(int(number) for number in re.findall(r"\d+", client.server_version or "")[:2])
    if version < OLDEST:
        client.close()
        oldest = ".".join(map(str, OLDEST))
        raise Stop(
            f"ClickHouse {client.server_version} at {to.shown} is too old: {oldest} or later is needed",
            reason=State.UNSUPPORTED_VERSION,
        )
    client.database = to.database
    return client


def _embedded(to: Target) -> Client:
    client: Client = clickhouse_connect.get_client(interface="chdb", path=to.dsn.removeprefix("chdb:"))
    return client


def _remote(to: Target) -> Client:
    """Without a session, which would allow one statement at a time; with a pool of its own, which `close` closes."""
    client = clickhouse_connect.get_client(dsn=to.dsn, autogenerate_session_id=False, dedicated_pool=True)
    assert isinstance(client, HttpClient)
    client.http_retries = _Once(0)  # type: ignore[assignment]  # handed to urllib3, which takes both
    return client


class _Once(Retry):
    """Every request is sent once.

    Left alone, clickhouse-connect sends an insert again after a connection that was reset, and
    urllib3 after an error of TLS, then with what is left of the body.  The first would be safe
    under our token (equal rows, built again from the start), but it hides that something was
    sent: a refused second attempt looks as if nothing had been.  Reads that a server answers
    with 429, 503 or 504 are still asked again by clickhouse-connect, twice; inserts never.
    """

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        raise Unanswered(error) from error
