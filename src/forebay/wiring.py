"""Puts the stages together: the only place that knows which adapters they run on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import structlog
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
from .loader.loop import Loader, Progress
from .loader.pace import Pace
from .metrics import refusals
from .serving import Address, check_port, metrics_route, serve
from .store.clickhouse import ClickHouse

log = structlog.get_logger()

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
        self._progress = Progress()
        self._pace = Pace(pace.batch_mib * MIB, pace.linger, pace.budget_mib * MIB)
        self._retry = pace.retry
        collector = Collector(
            self._journal,
            self.keys,
            Limits(limits.compressed_mib * MIB, limits.plain_mib * MIB, limits.entries, limits.budget_mib * MIB),
        )
        self.insights = Insights(
            self._store, self._journal, GROUP, PIPELINE, time.time, lambda: self._progress, refusals
        )
        gate = Gate(None if address.loopback else self.keys)
        self.app = Starlette(routes=[*collector.routes(), *routes(self.insights, gate), metrics_route(gate.admit)])

    def run(self, address: Address, started: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; then stop taking in, load what is there, and close.

        `started` is called once requests are answered.  Stop at the end if the loader had given up.
        """
        loader = threading.Thread(target=self._load, name="loader")
        loader.start()
        try:
            asyncio.run(serve(self.app, address, started))
        finally:
            self._stopping.set()
            loader.join()
            self._journal.close()
            self._store.close()
        if self._progress.trouble:
            raise Stop(f"not everything is loaded, the journal keeps it: {self._progress.trouble}")

    def _load(self) -> None:
        """Collecting goes on whatever happens to the loader: the journal is there to hold what it can't load."""
        while not self._stopping.is_set():
            consumer = self._journal.consumer(GROUP, TOPICS)
            loader = Loader(consumer, self._store, PIPELINE, self._pace, time.monotonic, self._progress)
            try:
                while not self._stopping.is_set():
                    loader.run_for(self._stopping, TRIM_EVERY)
                    self._trim()
                loader.drain(DRAIN_WITHIN)
            except Exception as exc:  # whatever it was: say so, and begin again from what is durable
                self._progress.trouble = str(exc) if isinstance(exc, ForebayError) else repr(exc)
                log.error("the loader stopped", reason=self._progress.trouble, again_in_seconds=self._retry)
                self._stopping.wait(self._retry)

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
