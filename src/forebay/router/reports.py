"""Where requests are counted: the reporter of the schema of the moment.

Until the schema is known requests are held, within bounds; when it isn't known in time, they and
those that follow count without being analysed, so that answers are incomplete, and none is lost.
When the schema changes, another reporter takes over, and the one before goes on until what it
holds is acknowledged.

`record`, `become` and `give_up` belong to one thread, the router's.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from threading import Event, Lock, Thread
from typing import Any, Final

from graphql import GraphQLSchema

from .. import metrics
from ..agent.recorder import Request
from ..agent.reporter import Reporter
from .schemas import Schema

HELD: Final = 10_000
"""Requests that wait for the schema."""
HELD_BYTES: Final = 8 * 2**20


class Reports:
    """Counts requests, and tells the collector."""

    def __init__(self, url: str, token: str, interval: float = 5.0) -> None:
        self._options = {"url": url, "token": token, "interval": interval}
        self._held: deque[Request] = deque()
        self._held_bytes = 0
        self._waiting = True  # for the first schema
        self._schema: Schema | None = None
        self._reporter: Reporter | None = None
        # What can't be analysed is reported as of no schema.
        self._blank = Reporter(GraphQLSchema(), sdl=str, **self._options)  # type: ignore[arg-type]
        self._retired: list[Reporter] = []
        self._past: Counter[str] = Counter()  # of those that have told everything
        self._retiring = Lock()
        self._releasing = Lock()
        self._closing = Event()

    @property
    def schema(self) -> Schema | None:
        return self._schema

    def record(self, request: Request, weight: int) -> None:
        """Count it, or hold it; `weight` is about how many bytes it takes."""
        if self._reporter is not None:
            self._reporter.count(request)
            return
        self._held.append(request)
        self._held_bytes += weight
        if not self._waiting or len(self._held) > HELD or self._held_bytes > HELD_BYTES:
            self.give_up()

    def become(self, schema: Schema) -> bool:
        """Analyse against this schema from now on, and what is held too.  False if it is the same as before."""
        if self._schema is not None and schema.sdl == self._schema.sdl:
            return False
        before, self._schema = self._reporter, schema
        self._reporter = Reporter(schema.graphql, sdl=lambda: schema.sdl, **self._options)  # type: ignore[arg-type]
        self._waiting = False
        self._release(self._reporter)
        if before is not None:
            self._retired.append(before)
            Thread(target=self._retire, args=(before,), name="forebay-retired", daemon=True).start()
        return True

    def give_up(self) -> None:
        """Wait for the schema no longer: what is held, and what comes until it is known, counts not analysed."""
        self._waiting = False
        metrics.ROUTER_UNANALYSED.labels("no_schema").inc(sum(request.source is not None for request in self._held))
        for request in self._held:
            request.source = None
        self._release(self._blank)

    def close(self, timeout: float) -> int:
        """Report what is left; the requests that were not acknowledged in time."""
        self._closing.set()
        self.give_up()
        until = time.monotonic() + timeout
        reporters = self._reporters()
        for reporter in reporters:
            reporter.close(max(until - time.monotonic(), 0.1))
        return sum(reporter.status().get("pending", 0) for reporter in reporters)

    def status(self) -> dict[str, Any]:
        """As Reporter.status, of all reporters together; `held` wait for the schema."""
        total: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        faults: Counter[str] = Counter()
        with self._retiring:
            total.update(self._past)
            reporters = self._reporters()
        for reporter in reporters:
            told = reporter.status()
            total.update(_counts(told))
            lost.update(told.get("lost", {}))
            faults.update(told.get("faults", {}))
        with self._releasing:
            held = len(self._held)
        return {**total, "held": held, "lost": dict(lost), "faults": dict(faults)}

    def _reporters(self) -> list[Reporter]:
        return [*self._retired, self._blank, *([self._reporter] if self._reporter else [])]

    def _release(self, reporter: Reporter) -> None:
        with self._releasing:  # what is not held any more is counted, for whoever asks
            held, self._held, self._held_bytes = self._held, deque(), 0
            for request in held:
                reporter.count(request)

    def _retire(self, reporter: Reporter) -> None:
        while not self._closing.is_set():
            if reporter.flush(5.0) and reporter.close():
                with self._retiring:
                    self._retired.remove(reporter)
                    self._past.update(_counts(reporter.status()))
                return


def _counts(told: Mapping[str, Any]) -> dict[str, int]:
    return {name: told.get(name, 0) for name in ("recorded", "acknowledged", "pending")}
