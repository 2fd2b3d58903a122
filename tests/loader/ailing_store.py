"""The real store, with inserts that fail as a test prescribes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from forebay.errors import RetryLater
from forebay.store.condition import Condition
from forebay.store.port import AgentKey, Origin, Row, Seen, Store
from forebay.store.window import EMBEDDED, Window


class Ailing:
    """`failures`: why the next inserts fail, one after the other; an empty one does not.  `parts`: how many it has."""

    def __init__(self, store: Store, failures: Sequence[str] = (), parts: int | None = None) -> None:
        self._store = store
        self._failures = list(failures)
        self._parts = parts
        self.attempts: list[float] = []
        self.tokens: list[str] = []

    def migrate(self, window: Window = EMBEDDED) -> None:
        self._store.migrate(window)

    def check(self, window: Window = EMBEDDED) -> None:
        self._store.check(window)

    def condition(self) -> Condition:
        return self._store.condition()

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        self.attempts.append(time.monotonic())
        if self._failures and (reason := self._failures.pop(0)):
            raise RetryLater("not now", retry_after=0, reason=reason)
        self.tokens.append(token)
        self._store.insert(table, rows, token)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return self._store.query(sql, parameters)

    def parts(self) -> int:
        return self._store.parts() if self._parts is None else self._parts

    def loaded(self, origin: Origin) -> int:
        return self._store.loaded(origin)

    def seen(self, origin: Origin) -> dict[AgentKey, Seen]:
        return self._store.seen(origin)

    def close(self) -> None:
        self._store.close()
