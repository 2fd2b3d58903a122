"""The router as a process: the proxy on one address, health and metrics on another, the schema in the background."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from yarl import URL

from .. import metrics
from ..agent.persisted import Documents
from ..errors import RetryLater, Stop
from ..serving import Address, check_port, collect_seldom
from ..settings import RouterSettings
from .copies import Budget
from .documents import trusted_documents
from .following import follow
from .health import health
from .proxy import Proxy, Request
from .recording import Recording
from .reports import Reports
from .schemas import Source, from_file, from_upstream
from .watch import Watch

KIB, MIB = 2**10, 2**20
FLUSH: Final = 10.0
"""Seconds for the last reports when the router is stopped."""
IDLE: Final = 75.0
"""Seconds that an idle connection of a client is kept."""


def route(settings: RouterSettings, address: Address, side: Address, started: Callable[[], None]) -> str:
    """Serve until SIGTERM or SIGINT, then tell in a sentence what is left."""
    url, token = os.environ.get("FOREBAY_URL", ""), os.environ.get("FOREBAY_TOKEN", "")
    if not url or not token:
        raise Stop("name the collector in FOREBAY_URL, and a token of `forebay token create` in FOREBAY_TOKEN")
    router = Router(settings, Reports(url, token), address, side)

    async def until_told() -> str:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        collect_seldom()
        return await router.run(stopping, started)

    return asyncio.run(until_told())


class Router:
    """Stop for settings that do not fit."""

    def __init__(self, settings: RouterSettings, reports: Reports, address: Address, side: Address) -> None:
        self._settings, self._reports = settings, reports
        self._address, self._side = address, side
        self._upstream = _upstream(settings)
        self._source = _source(settings)
        trusted = trusted_documents(Path(settings.documents)) if settings.documents else None
        recording = Recording(reports, Documents(trusted, settings.documents_mib * MIB))
        paths = [self._upstream.raw_path, *filter(None, settings.paths.split(","))]
        self._watch = Watch(recording, paths, settings.look_kib * KIB, Budget(settings.budget_mib * MIB))
        for each in (address, side):
            check_port(each)

    async def run(self, stopping: asyncio.Event, started: Callable[[], None]) -> str:
        """Serve until `stopping`; then let what is in flight end, and report what is left."""
        settings = self._settings
        proxy = Proxy(self._upstream, self._watch, settings)
        front = web.ServerRunner(_server(proxy, settings.head_kib * KIB), shutdown_timeout=0.2)
        side = web.AppRunner(health(proxy, self._reports), access_log=None)
        site = await _listen(front, self._address)
        await _listen(side, self._side)
        following = asyncio.create_task(follow(self._source, self._reports, settings.refresh, settings.hold))
        started()
        await stopping.wait()
        await site.stop()
        cut = await _drain(proxy, settings.drain)
        await front.cleanup()
        following.cancel()
        left = await asyncio.to_thread(self._reports.close, FLUSH)
        await side.cleanup()
        await proxy.close()
        return f"stopped; {cut:,} answers were cut off, {left:,} counted requests were not acknowledged"


def _server(proxy: Proxy, head: int) -> web.Server:
    quiet = logging.getLogger("forebay.router.http")  # what it says of bad requests holds parts of them
    quiet.disabled = True

    loop = asyncio.get_running_loop()

    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Request:
        if message.method == "UNKNOWN":  # aiohttp's name for what it could not read, and answers with 400
            metrics.ROUTER_REFUSED.labels("head").inc()
        return Request(message, payload, protocol, writer, task, loop)

    return web.Server(
        proxy.handle,
        request_factory=request,
        handler_cancellation=True,
        logger=quiet,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=IDLE,
        max_line_size=head,
        max_field_size=head,
    )


async def _listen(runner: web.BaseRunner, address: Address) -> web.TCPSite:
    await runner.setup()
    site = web.TCPSite(runner, address.host, address.port, backlog=1024)
    await site.start()
    return site


async def _drain(proxy: Proxy, seconds: float) -> int:
    """Wait for what is in flight; the number of what is still there when the time is over."""
    proxy.draining = True
    until = time.monotonic() + seconds
    while proxy.in_flight and time.monotonic() < until:
        await asyncio.sleep(0.02)
    return proxy.in_flight


def _upstream(settings: RouterSettings) -> URL:
    try:
        upstream = URL(settings.upstream, encoded=True)
        if upstream.scheme in ("http", "https") and upstream.host:
            return upstream
    except ValueError:
        pass
    raise Stop("name the upstream by --upstream or FOREBAY_ROUTER_UPSTREAM, as http://host:port/graphql")


def _source(settings: RouterSettings) -> Source:
    if settings.schema:
        path = Path(settings.schema)
        try:
            from_file(path)
        except RetryLater as exc:  # at the start it is the user's mistake; later the last good one stays
            raise Stop(str(exc)) from None
        return partial(from_file, path)
    try:
        headers: Mapping[str, str] = json.loads(settings.headers)
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise ValueError("it must be an object of texts")
    except ValueError as exc:
        raise Stop(f"FOREBAY_ROUTER_HEADERS is no JSON object of headers: {exc}") from None
    return partial(from_upstream, settings.upstream, headers)
