"""Serving HTTP: an ASGI application on an address, until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .access import Denied
from .errors import Stop


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def url(self) -> str:
        """How others reach it: an address that stands for all of them is nobody's to call."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104  compared only
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


def metrics_route(
    admit: Callable[[Request], object] = lambda _: None, refresh: Callable[[], None] = lambda: None
) -> Route:
    """Every metric of this process, for Prometheus; `admit` raises Denied for whom it is not meant.

    `refresh` sets those that are read only when somebody asks.
    """

    async def metrics(request: Request) -> Response:
        try:
            admit(request)
        except Denied as exc:
            return Response(str(exc), 403 if exc.forbidden else 401, media_type="text/plain")
        await run_in_threadpool(refresh)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)


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


def collect_seldom() -> None:
    """Let this process look for cyclic garbage less often.

    A report is thousands of objects that all go when it is answered, or loaded.  To look for cycles
    among them every few hundred, as Python does by default, takes a quarter of the time (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def serve(app: ASGIApp, address: Address, started: Callable[[], None]) -> None:
    """Run an ASGI application until SIGTERM or SIGINT."""
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
    collect_seldom()
    serving = asyncio.create_task(server.serve())
    await asyncio.sleep(0)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await _answering(address, serving)
    started()
    while not stopping.is_set() and not serving.done():
        try:
            await asyncio.wait_for(stopping.wait(), timeout=0.25)
        except TimeoutError:
            continue
    server.stop()  # type: ignore[no-untyped-call]  # granian's
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
