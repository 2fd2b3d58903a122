"""What a server holds: `Reporter(schema).record(…)` for each request, `close()` at the end.

Nothing here raises into the host, blocks it or keeps it from ending: faults are counted and
logged seldom, and the end of the process waits at most five seconds for the last report.
A process that forks leaves what it recorded with the parent; the child starts afresh, under
its own agent id.  With a spool, what can't be sent in time is left on disk for the next process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

from graphql import GraphQLSchema, print_schema

from ..core.record import SchemaColumns
from ..core.shape import content_hash
from ..errors import Stop
from .exporter import Bounds, Exporter, Send
from .extract import Extractor
from .faults import Faults, logger
from .outcomes import Sample, Sampling
from .places import Errors
from .post import Post
from .processes import after_in_child, at_exit, threads_run
from .recorder import Limits, Recorder, Request
from .spool import Spool, folder_of
from .worker import Worker

FLUSH_AT_EXIT = 5.0
"""Seconds, for all reporters of a process together."""


class Reporter:
    """Reports the usage of one schema to one collector; thread-safe.

    `url` and `token` default to FOREBAY_URL and FOREBAY_TOKEN.  Without them the reporter is
    disabled: it says so once, and does nothing.  `sdl` gives the text under which the schema
    is known, where it is not `print_schema`'s ("" if nobody knows it); like the schema's analysis
    it is called for in the background.  `interval` is in seconds between reports.  `spool`, by default
    FOREBAY_SPOOL, is a directory on a disk of this machine that any number of processes share.
    `executions` is the share of requests, from 0 to 1, of which the executions of resolvers are counted,
    where the host shows them.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        url: str | None = None,
        token: str | None = None,
        *,
        sdl: Callable[[], str] | None = None,
        interval: float = 5.0,
        spool: str | os.PathLike[str] | None = None,
        executions: float = 0.0,
        limits: Limits = Limits(),  # noqa: B008  frozen
        bounds: Bounds = Bounds(),  # noqa: B008  frozen
    ) -> None:
        self._extractor = cache(lambda: Extractor(schema))
        self._schema = cache(lambda: self._columns(sdl or (lambda: print_schema(schema))))
        self._interval, self._limits, self._bounds = interval, limits, bounds
        self.sample = Sampling(executions).draw
        """For each request that begins: where to count the executions of its resolvers; None for most."""
        token = token or os.environ.get("FOREBAY_TOKEN", "")
        self._send = _sender(url or os.environ.get("FOREBAY_URL", ""), token)
        directory = spool or os.environ.get("FOREBAY_SPOOL")
        self._directory = Path(directory, folder_of(token)) if directory else None
        self._exporter: Exporter | None = None
        self.start_afresh()
        _alive.add(self)

    def start_afresh(self) -> None:
        """Forget everything that was recorded, and become another agent: what a forked child does first."""
        if self._exporter is not None:
            self._exporter.forget()
        self.faults = Faults()
        self._running = self._closed = False
        self._analyst = Worker("forebay-recorder", self._analyse, self.faults)
        self._recorder = Recorder(self._extractor, self.faults, self._analyst.wake, self._limits)
        if self._send is not None:
            self._exporter = Exporter(
                self._recorder,
                self._send,
                self._schema,
                self.faults,
                interval=self._interval,
                bounds=self._bounds,
                spool=self._spool(),
            )
            self._courier = Worker("forebay-exporter", self._exporter.work, self.faults, self._exporter.pause())

    def record(
        self,
        source: str | None,
        operation_name: str | None = None,
        variables: Mapping[str, Any] | None = None,
        *,
        client: str = "",
        client_version: str = "",
        status: int = 200,
        errors: bool | Errors | Sequence[Any] | None = False,
        seconds: float | None = None,
        now: float | None = None,
        validated: bool = False,
        executed: bool = False,
        executions: Sample | None = None,
    ) -> None:
        """Count one request: its document, its HTTP status, its answer's errors, and its duration.

        `errors` are the answer's own, of which nothing but the coordinates at which they arose is kept, or whether
        there are any.  `executions` is what `sample` gave when the request began.

        What only a host can know: `validated`, it found the document valid on this schema by all rules of the
        specification, which is not repeated then, for every request of that document; `executed`, execution
        began, so that a document that is not valid counts as not analysed, whatever errors its answer has.

        `source` is None where the document is not known, as of a persisted one: the request counts, under its
        name as not analysed.
        """
        self.count(
            Request(
                source,
                operation_name,
                variables,
                client or "",
                client_version or "",
                status,
                errors,
                seconds,
                time.time() if now is None else now,
                validated,
                executed,
                executions,
            )
        )

    def count(self, request: Request) -> None:
        """Count one request that is made already; never raises."""
        if self._send is None or self._closed:
            return
        try:
            if not self._running:
                self._start()  # before it is counted, or who flushes at this moment would find nothing to wait for
            self._recorder.record(request)
        except Exception as exc:
            self.faults.note("record", exc)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was recorded before is acknowledged; False if that took longer than `timeout` seconds."""
        try:
            if self._running and self._exporter is not None:
                return self._exporter.flush(self._courier.wake, timeout)
            return self._recorder.counts().waiting == 0
        except Exception as exc:
            self.faults.note("flush", exc)
            return False

    def close(self, timeout: float = 5.0) -> bool:
        """Flush, then stop: what is recorded later is not counted.  False if requests were left behind."""
        try:
            self._closed = True
            flushed, kept = self.flush(timeout), self._leave()
            if self._running:
                self._running = False
                self._analyst.stop(0.1)
                self._courier.stop(0.1)
            if not flushed:
                where = "in the spool" if kept else "not acknowledged"
                logger.warning("forebay: closed with %s requests %s", self.status()["pending"], where)
            return flushed
        except Exception as exc:
            self.faults.note("close", exc)
            return False
        finally:
            _alive.discard(self)

    def status(self) -> dict[str, Any]:
        """Requests recorded = acknowledged + pending + lost, and faults of the agent by kind."""
        if self._exporter is None:
            return {"enabled": False}
        try:
            # Pending is the difference: a report is acknowledged between two looks at the parts.
            counts, acknowledged = self._recorder.counts(), self._exporter.acknowledged
            return {
                "enabled": True,
                "recorded": counts.recorded,
                "acknowledged": acknowledged,
                "pending": max(counts.recorded - acknowledged - sum(counts.lost.values()), 0),
                "lost": counts.lost,
                "coarsened": counts.coarsened,
                "faults": dict(self.faults.counts),
            }
        except Exception as exc:
            self.faults.note("status", exc)
            return {"enabled": True, "faults": dict(self.faults.counts)}

    def _start(self) -> None:
        """The threads, with the first request; what waits for them stays where it is, should they fail to start."""
        try:
            _flush_at_the_end_of_a_child()
            self._analyst.start()
            self._courier.start()
            self._running = True
            if not threads_run():
                self.faults.note("threads", "uWSGI needs --enable-threads: reports wait for requests, or its end")
        except Exception as exc:
            self.faults.note("start", exc)

    def _leave(self) -> bool:
        """What the end of a process does last: leave to the spool what is not acknowledged.  False without one."""
        try:
            return self._running and self._exporter is not None and self._exporter.leave(FLUSH_AT_EXIT)
        except Exception as exc:
            self.faults.note("spool", exc)
            return False

    def _spool(self) -> Spool | None:
        try:
            return Spool(self._directory, self._bounds.spool) if self._directory else None
        except OSError as exc:
            self.faults.note("spool", str(exc))
            return None

    def _analyse(self) -> None:
        self._recorder.analyse()

    def _columns(self, sdl: Callable[[], str]) -> SchemaColumns:
        """The schema as it is sent; one that can't be printed is unknown, and its traffic counts nevertheless."""
        try:
            text = sdl()
            return SchemaColumns(id=content_hash(text.encode()) if text else "", sdl=text)
        except Exception as exc:
            self.faults.note("schema", exc)
            return SchemaColumns(id="", sdl="")


_alive: WeakSet[Reporter] = WeakSet()
_finalized: set[int] = set()  # processes
_ended: set[int] = set()  # likewise


def _sender(url: str, token: str) -> Send | None:
    try:
        if url and token:
            return Post(url, token)
        logger.warning("forebay: disabled, since FOREBAY_URL or FOREBAY_TOKEN is not set")
    except Stop as exc:
        logger.warning("forebay: disabled: %s", exc)
    return None


def _flush_at_exit() -> None:
    if os.getpid() in _ended:
        return
    _ended.add(os.getpid())
    deadline = time.monotonic() + FLUSH_AT_EXIT
    for reporter in list(_alive):
        reporter.flush(max(deadline - time.monotonic(), 0))
        reporter._leave()


def _flush_at_the_end_of_a_child() -> None:
    """A child of multiprocessing ends without atexit; it calls its own finalizers."""
    if (parent := sys.modules.get("multiprocessing.process")) and parent.parent_process() is not None:
        from multiprocessing.util import Finalize

        if os.getpid() not in _finalized:
            _finalized.add(os.getpid())
            Finalize(None, _flush_at_exit, exitpriority=100)


def _start_afresh_in_child() -> None:
    for reporter in list(_alive):
        reporter.start_afresh()


at_exit(_flush_at_exit)
after_in_child(_start_afresh_in_child)
