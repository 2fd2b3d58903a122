"""Puts the stages together: the only place that knows which adapters they run on."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from starlette.applications import Starlette

from . import settings
from .access import SigningKeys
from .collector.admission import MIB, Limits
from .collector.app import Collector
from .console.app import routes
from .console.gate import Gate
from .core.record import TOPICS
from .datadir import DataDirectory, keys_path
from .errors import ForebayError, Stop
from .insights.insights import Insights
from .journal.sqlite import SqliteJournal
from .loader.loop import Loader
from .loader.pace import Pace
from .metrics import refusals
from .serving import Address, check_port, metrics_route, serve
from .store.clickhouse import ClickHouse

PIPELINE = "embedded"
GROUP = "forebay-loader"
TRIM_EVERY = 600.0
DRAIN_WITHIN = 20.0


class Embedded:
    """All stages in one process, on SQLite and chDB."""

    def __init__(self, directory: DataDirectory, address: Address) -> None:
        self.keys = SigningKeys.load(keys_path(directory.path))
        limits = settings.read(settings.CollectorSettings)
        pace = settings.read(settings.LoaderSettings)
        self._retention = settings.read(settings.JournalSettings).retention
        self._journal = SqliteJournal(directory.journal, TOPICS)
        self._store = ClickHouse(f"chdb:{directory.store}")
        self._store.migrate()
        self._stopping = threading.Event()
        self._failure: ForebayError | None = None
        self._loader = Loader(
            self._journal.consumer(GROUP, TOPICS),
            self._store,
            PIPELINE,
            Pace(pace.batch_mib * MIB, pace.linger),
            time.monotonic,
        )
        collector = Collector(
            self._journal,
            self.keys,
            Limits(limits.compressed_mib * MIB, limits.plain_mib * MIB, limits.entries, limits.budget_mib * MIB),
        )
        progress = self._loader.progress
        self.insights = Insights(
            self._store, self._journal, GROUP, PIPELINE, time.time, progress=lambda: progress, refusals=refusals
        )
        gate = Gate(None if address.loopback else self.keys)
        self.app = Starlette(routes=[*collector.routes(), *routes(self.insights, gate), metrics_route()])

    def run(self, address: Address, started: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; then stop taking in, load what is there, and close.

        `started` is called once requests are answered.  Stop if the loader can't go on.
        """
        loader = threading.Thread(target=self._load, name="loader")
        loader.start()
        try:
            asyncio.run(serve(self.app, address, started, failed=lambda: self._failure is not None))
        finally:
            self._stopping.set()
            loader.join()
            self._drain()
            self._journal.close()
            self._store.close()
        if self._failure is not None:
            raise self._failure

    def _load(self) -> None:
        trimmed = time.monotonic()
        try:
            while not self._stopping.is_set():
                self._loader.run_for(self._stopping, TRIM_EVERY)
                if time.monotonic() - trimmed >= TRIM_EVERY:
                    self._trim()
                    trimmed = time.monotonic()
        except ForebayError as exc:
            self._failure = exc
        except Exception as exc:  # whatever it is, a loader that died must not look alive
            logging.getLogger(__name__).exception("the loader failed")
            self._failure = Stop(f"the loader failed: {exc!r}")

    def _drain(self) -> None:
        """Nobody loses anything if this fails: the journal keeps it for the next start."""
        deadline = time.monotonic() + DRAIN_WITHIN
        while self._failure is None and time.monotonic() < deadline:
            try:
                if not self._loader.step(final=True):
                    return
            except ForebayError:
                return

    def _trim(self) -> None:
        before = int((time.time() - self._retention) * 1000)
        for topic in TOPICS:
            for partition in self._journal.partitions(topic):
                committed = self._journal.committed(GROUP, partition)
                if committed:
                    self._journal.trim(partition, committed.offset, before)


def embedded(directory: DataDirectory, address: Address) -> Embedded:
    """The embedded pipeline on a directory that is ours."""
    check_port(address)
    return Embedded(directory, address)
