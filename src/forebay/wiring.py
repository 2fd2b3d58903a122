"""Puts the stages together: the only place that knows which adapters they run on."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.types import ASGIApp

from . import settings
from .access import SigningKeys
from .collector.admission import MIB, Limits
from .collector.app import Collector
from .console.app import Gate, routes
from .core.record import TOPICS
from .datadir import DataDirectory, keys_path
from .errors import ForebayError, Stop
from .insights import Insights
from .journal.sqlite import SqliteJournal
from .loader.loop import Loader
from .loader.pace import Pace
from .store.clickhouse import ClickHouse

PIPELINE = "embedded"
GROUP = "forebay-loader"
TRIM_EVERY = 600.0
DRAIN_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


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
        self.insights = Insights(self._store, self._journal, GROUP, self._loader.progress)
        gate = Gate(self.keys, open_to_loopback=address.loopback)
        self.app = Starlette(routes=[*collector.routes(), *routes(self.insights, gate)])

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


def check_port(address: Address) -> None:
    """Stop if the address cannot be listened on.  (The server shares ports, so it would not notice.)"""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
    except OSError as exc:
        message = f"{address.host}:{address.port} cannot be listened on: {exc.strerror}; choose another with --port"
        raise Stop(message) from exc


async def serve(
    app: ASGIApp, address: Address, started: Callable[[], None], failed: Callable[[], bool] = lambda: False
) -> None:
    """Run an ASGI application until SIGTERM, SIGINT or `failed`."""
    server = Server(
        app,
        address=address.host,
        port=address.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=False,
        log_enabled=False,
        backlog=1024,
    )
    serving = asyncio.create_task(server.serve())
    await asyncio.sleep(0)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await _answering(address, serving)
    started()
    while not stopping.is_set() and not failed() and not serving.done():
        try:
            await asyncio.wait_for(stopping.wait(), timeout=0.25)
        except TimeoutError:
            continue
    server.stop()
    await serving


async def _answering(address: Address, serving: asyncio.Task[None]) -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def embedded(directory: DataDirectory, address: Address) -> Embedded:
    """The embedded pipeline on a directory that is ours."""
    check_port(address)
    return Embedded(directory, address)


def local_keys(data: Path) -> SigningKeys:
    """The signing keys of a data directory, made if there are none yet."""
    data.mkdir(parents=True, exist_ok=True)
    return SigningKeys.load(keys_path(data))
