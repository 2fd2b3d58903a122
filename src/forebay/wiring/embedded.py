"""All stages in one process, on SQLite and chDB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.applications import Starlette

from .. import settings
from ..access import SigningKeys
from ..collector.app import Collector
from ..console.app import routes
from ..console.gate import Gate
from ..core.record import TOPICS
from ..datadir import DataDirectory, keys_path
from ..errors import Stop
from ..insights.insights import Insights
from ..journal.sqlite import SqliteJournal
from ..metrics import refusals
from ..serving import Address, check_port, metrics_route, serve
from ..store.clickhouse import ClickHouse
from ..store.orphans import forget_orphans
from .limits import limits
from .loading import GROUP, Loading
from .told import tell_progress, tell_status

PIPELINE = "embedded"


class Embedded:
    """The whole pipeline on a directory that is ours."""

    def __init__(self, directory: DataDirectory, address: Address) -> None:
        check_port(address)
        self.keys = SigningKeys.load(keys_path(directory.path))
        self._retention = settings.read(settings.JournalSettings).retention
        self._journal = SqliteJournal(directory.journal, TOPICS)
        forget_orphans(directory.store)
        self._store = ClickHouse(f"chdb:{directory.store}")
        self._store.migrate()
        self._loading = Loading(self._journal, self._store, PIPELINE, tidy=self._trim)
        collector = Collector(self._journal, self.keys, limits())
        insights = Insights(
            self._store, self._journal, GROUP, PIPELINE, time.time, lambda: self._loading.progress, refusals
        )
        gate = Gate(None if address.loopback else self.keys)

        def refresh() -> None:
            tell_status(insights.status())
            tell_progress(self._loading.progress)

        self.app = Starlette(routes=[*collector.routes(), *routes(insights, gate), metrics_route(gate.admit, refresh)])

    def run(self, address: Address, started: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; then stop taking in, load what is there, and close.

        `started` is called once requests are answered.  Stop at the end if the loader had given up.
        """
        self._loading.start()
        try:
            asyncio.run(serve(self.app, address, started))
        finally:
            trouble = self._loading.stop()
            self._journal.close()
            self._store.close()
        if trouble:
            raise Stop(f"not everything is loaded, the journal keeps it: {trouble}")

    def _trim(self) -> None:
        before = int((time.time() - self._retention) * 1000)
        for topic in TOPICS:
            for partition in self._journal.partitions(topic):
                committed = self._journal.committed(GROUP, partition)
                if committed:
                    self._journal.trim(partition, committed.offset, before)
