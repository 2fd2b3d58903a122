"""A request through `forebay router`, against a bare pass-through proxy on the same libraries.

The bare proxy is aiohttp's server and client and nothing else: it streams both bodies and keeps the
headers but those of one hop.  Both stand before the same upstream, which answers with constant bytes,
are driven in turn over the same connections, and are measured by the CPU time of their own process for
each request, all threads: analysis, reports and their sending are the router's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from fake_collector import fake_collector
from faults.pipeline import free_port

from .client import drive, request
from .processes import cpu
from .record import FILTER, PLAIN, SCHEMA, SEARCH
from .result import Result, at_least

CONNECTIONS, ROUNDS, SECONDS = 32, 7, 1.0
ANSWER = json.dumps({"data": {"search": [{"id": str(number), "name": f"name {number}"} for number in range(20)]}})
HOP = ("connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-connection")


def run() -> Iterator[Result]:
    headers = {"content-type": "application/json", "graphql-client-name": "web", "graphql-client-version": "3.2.0"}
    asked = [
        {"query": PLAIN, "operationName": "Plain"},
        {"query": SEARCH, "operationName": "Search", "variables": FILTER},
    ]
    requests = [request("/graphql", headers, json.dumps(each).encode()) for each in asked]
    with tempfile.TemporaryDirectory() as folder, fake_collector() as collector, _upstream() as upstream:
        schema = Path(folder) / "schema.graphql"
        schema.write_text(SCHEMA)
        environment = {"FOREBAY_URL": collector.url, "FOREBAY_TOKEN": "token"}
        options = [f"--upstream=http://127.0.0.1:{upstream}/graphql", f"--schema={schema}"]
        front, side, bare = free_port(), free_port(), free_port()
        router = ["-m", "forebay", "router", *options, f"--port={front}", f"--health-port={side}"]
        with (
            process(router, front, environment) as ours,
            process(["-m", "bench.router", str(bare), str(upstream)], bare) as theirs,
        ):
            for port in (front, bare):
                drive(port, requests, CONNECTIONS, 1.0)
            rounds = [
                [_round(pid, port, requests) for pid, port in ((ours, front), (theirs, bare))] for _ in range(ROUNDS)
            ]
    against = "the bare proxy"
    ratio = statistics.median(b[0] / a[0] for a, b in rounds)
    yield at_least(0.8, "router/cpu", ratio, "× its requests per CPU second", against)
    yield Result(
        "router/rate",
        statistics.median(a[1] / b[1] for a, b in rounds),
        "× its rate",
        f"{against}; others' work is in it",
    )
    yield Result("router/each", statistics.median(a[0] for a, _ in rounds) * 1e6, "µs CPU a request", "")
    yield Result("router/bare", statistics.median(b[0] for _, b in rounds) * 1e6, "µs CPU a request", "")


def _round(pid: int, port: int, requests: list[bytes]) -> tuple[float, float]:
    """CPU seconds of a request, and requests per second."""
    before = cpu(pid)
    served = drive(port, requests, CONNECTIONS, SECONDS)
    return (cpu(pid) - before) / len(served.latencies), served.rate


@contextmanager
def process(arguments: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[int]:
    """The id of a process of Python's that serves HTTP on this port."""
    started = subprocess.Popen(
        [sys.executable, *arguments], env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL
    )
    try:
        _wait(port)
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


def _wait(port: int) -> None:
    for _ in range(400):
        try:
            httpx.get(f"http://127.0.0.1:{port}/nothing", timeout=5)
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing answers on {port}")


class _Constant(asyncio.Protocol):
    """Answers each request, which must come whole, with the same bytes."""

    answer = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: constant\r\n"
        f"content-length: {len(ANSWER)}\r\n\r\n{ANSWER}"
    ).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if end and len(body) >= (int(lines[0][15:]) if lines else 0):
            self._received = b""
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(self.answer)


@contextmanager
def _upstream() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "bench.router", port := str(free_port())])
    try:
        _wait(int(port))
        yield int(port)
    finally:
        process.kill()
        process.wait()


async def _serve_constant(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Constant, "127.0.0.1", port)
    await server.serve_forever()


async def _serve_bare(port: int, upstream: int) -> None:
    async with ClientSession(
        connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
            data = request.content if request.body_exists else None
            url = f"http://127.0.0.1:{upstream}{request.raw_path}"
            async with session.request(
                request.method, url, headers=headers, data=data, allow_redirects=False
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
                response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response

        runner = web.ServerRunner(web.Server(handle, access_log=None, auto_decompress=False))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ports = [int(text) for text in sys.argv[1:]]
    asyncio.run(_serve_bare(*ports) if len(ports) == 2 else _serve_constant(*ports))
