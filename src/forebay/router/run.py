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
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yarl import URL

from .. import metrics
from ..errors import RetryLater, Stop
from ..serving import Address, check_port, collect_seldom
from ..settings import RouterSettings
from .copies import Budget
from .documents import Documents, trusted_documents
from .proxy import Proxy, Request
from .recording import Recording
from .reports import Reports
from .schemas import Source, from_file, from_upstream
from .watch import Watch

KIB, MIB = 2**10, 2**20
FLUSH = 10.0
"""Seconds for the last reports when the router is stopped."""
FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds between attempts to read the schema."""
IDLE = 75.0
"""Seconds that an idle connection of a client is kept."""

log = structlog.get_logger()


def route(settings: RouterSettings, address: Address, health: Address, started: Callable[[], None]) -> str:
    """Serve until SIGTERM or SIGINT, then tell in a sentence what is left."""
    upstream = _upstream(settings)
    source = _source(settings)
    trusted = trusted_documents(Path(settings.documents)) if settings.documents else None
    for each in (address, health):
        check_port(each)
    reports = _reports()
    documents = Documents(settings.documents_mib * MIB, trusted)
    paths = [upstream.raw_path, *filter(None, settings.paths.split(","))]
    watch = Watch(Recording(reports, documents), paths, settings.look_kib * KIB, Budget(settings.budget_mib * MIB))
    return asyncio.run(_serve(settings, upstream, watch, reports, source, address, health, started))


async def _serve(
    settings: RouterSettings,
    upstream: URL,
    watch: Watch,
    reports: Reports,
    source: Source,
    address: Address,
    health: Address,
    started: Callable[[], None],
) -> str:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    proxy = Proxy(
        upstream,
        watch,
        host_of_client=settings.host == "client",
        connect=settings.connect,
        answer=settings.answer,
        keep_alive=settings.keep_alive,
        most=settings.requests,
        head=settings.head_kib * KIB,
    )
    front = web.ServerRunner(_server(proxy, settings.head_kib * KIB), shutdown_timeout=0.2)
    side = web.AppRunner(_side(proxy, reports, stopping), access_log=None)
    following = asyncio.create_task(_follow(source, reports, settings.refresh, settings.hold))
    site = await _listen(front, address)
    await _listen(side, health)
    collect_seldom()
    started()
    await stopping.wait()
    await site.stop()
    cut = await _drain(proxy, settings.drain)
    following.cancel()
    await front.cleanup()
    left = await asyncio.to_thread(reports.close, FLUSH)
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


def _side(proxy: Proxy, reports: Reports, stopping: asyncio.Event) -> web.Application:
    """Health, readiness and metrics, away from the upstream's paths."""

    async def alive(_: web.Request) -> web.Response:
        return web.json_response(
            {"status": "ok", "schema": reports.schema is not None, "in_flight": proxy.in_flight} | reports.status()
        )

    async def ready(_: web.Request) -> web.Response:
        """Not any more once it is being stopped; a schema or collector that is away is no reason not to be."""
        draining = stopping.is_set()
        return web.json_response({"status": "stopping" if draining else "ok"}, status=503 if draining else 200)

    async def told(_: web.Request) -> web.Response:
        status = reports.status()
        metrics.ROUTER_PENDING.set(status["pending"] + status["held"])
        for reason, requests in status["lost"].items():
            metrics.ROUTER_LOST.labels(reason).set(requests)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/health", alive), web.get("/ready", ready), web.get("/metrics", told)])
    return app


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


async def _follow(source: Source, reports: Reports, refresh: float, hold: float) -> None:
    """Read the schema until it is known, and again now and then."""
    loop = asyncio.get_running_loop()
    giving_up = loop.call_later(hold, reports.give_up)
    pause, said = FIRST_RETRY, ""
    while True:
        metrics.ROUTER_SCHEMA.set(reports.schema is not None)
        try:
            schema = await asyncio.to_thread(source)
        except RetryLater as exc:
            metrics.ROUTER_SCHEMA_FAILED.inc()
            if str(exc) != said:
                said = str(exc)
                log.warning("the schema can't be read; traffic flows on", why=said, known=reports.schema is not None)
            await asyncio.sleep(pause if reports.schema is None else min(refresh, LAST_RETRY))
            pause = min(2 * pause, LAST_RETRY)
            continue
        giving_up.cancel()
        if reports.become(schema):
            log.info("analysing against a new schema", types=len(schema.graphql.type_map))
        metrics.ROUTER_SCHEMA.set(1)
        pause, said = FIRST_RETRY, ""
        await asyncio.sleep(refresh)


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


def _reports() -> Reports:
    url, token = os.environ.get("FOREBAY_URL", ""), os.environ.get("FOREBAY_TOKEN", "")
    if not url or not token:
        raise Stop("name the collector in FOREBAY_URL, and a token of `forebay token create` in FOREBAY_TOKEN")
    return Reports(url, token)
