"""Reports per second that the collector makes durable, against a bare server that makes nothing durable.

Each report holds 100 operations of 30 fields, gzipped.  `ingest/native`: an agent's report that
brings its shapes, as the first one of a day does (the collector has seen these shapes before).
`ingest/native_known`: an agent's steady state, tallies alone.  Each has its own sequence; the
collector looks at none, so the reports go round and round.  `ingest/cosmo`: every report carries
the 30 field entries of all 100 operations, as routers send them; the counts differ.

Forebay: the collector's routes and the SQLite journal with `synchronous = FULL` on the real disk, no
loader.  Bare: the same granian and starlette, which reads, gunzips and parses the same body
(`msgspec.json.decode`; protobuf's `ParseFromString`), hashes it with SHA-256 and answers 200.
Servers are pinned to one core, the client (this process) to another; both servers run all the
time and are driven in turn, over 16 keep-alive connections; the value is the median of the ratios
of neighbours.  Latencies are measured at half of Forebay's own rate, from when a request was due.
"""

from __future__ import annotations

import gzip
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import httpx
import msgspec

from forebay.access import Identity, Scope, SigningKeys
from forebay.collector.protocols import cosmo_pb2 as pb
from forebay.core import wire
from forebay.core.record import ShapeColumns, TallyColumns, columns_of

from . import traffic
from .client import drive, request
from .result import Result, at_least
from .servers import COSMO_PATH

CONNECTIONS, ROUNDS, SECONDS = 16, 7, 1.5
BODIES = 500


def run() -> Iterator[Result]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        keys = SigningKeys.load(Path(directory) / "keys.json")
        token = keys.create(Identity("bench", "shop", Scope.WRITE), ttl=3600)
        with server("forebay", directory) as forebay, server("bare", directory) as bare:
            yield from _compare("native", native(token, with_shapes=True), forebay.port, bare.port)
            yield from _compare("native_known", native(token, with_shapes=False), forebay.port, bare.port)
            yield from _compare("cosmo", cosmo(token), forebay.port, bare.port)


def _compare(protocol: str, requests: list[bytes], forebay: int, bare: int) -> Iterator[Result]:
    for port in (forebay, bare):
        drive(port, requests, 1, 0.5)  # the first request brings the shapes
    pairs = [[drive(port, requests, CONNECTIONS, SECONDS).rate for port in (forebay, bare)] for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    against = f"the bare server's {theirs:,.0f} reports/s; Forebay {ours:,.0f}"
    yield at_least(0.6, f"ingest/{protocol}", ratio, "of the bare server's reports/s", against)
    half = drive(forebay, requests, CONNECTIONS, 4, per_second=ours / 2)
    yield Result(f"ingest/{protocol}_p50", half.quantile(0.5) * 1e3, "ms", f"{ours / 2:,.0f} reports/s, half load")
    yield Result(f"ingest/{protocol}_p99", half.quantile(0.99) * 1e3, "ms", f"{ours / 2:,.0f} reports/s, half load")


class Server(NamedTuple):
    port: int
    pid: int


@contextmanager
def server(kind: str, directory: str, environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[Server]:
    """One of `servers.py`, as long as it is needed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "bench.servers", kind, str(port), directory]
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.ConnectError:
                if process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def native(token: str, with_shapes: bool) -> list[bytes]:
    """One agent's reports; the first one brings the shapes, or all do."""
    shapes = [operation.shape() for operation in traffic.operations(100)]
    chance = random.Random(1)
    now = int(time.time()) // 60
    requests = []
    brought = [ShapeColumns.of(shape) for shape in shapes]
    for sequence in range(1, (BODIES // 5 if with_shapes else BODIES) + 1):
        tallies = {
            (now, traffic.SCHEMA_VERSION, shape.id(), *traffic.CLIENTS[0], 200): traffic.count(chance, 20, 1)
            for shape in shapes
        }
        columns = msgspec.structs.asdict(TallyColumns(**columns_of(tallies)))  # type: ignore[arg-type]
        named = brought if with_shapes or sequence == 1 else []
        push = wire.Push(agent="bench", sequence=sequence, shapes=named, **columns)
        sent = headers(token, "application/json")
        requests.append(request(wire.PATH, sent, gzip.compress(wire.encode(push), 6)))
    return requests


def cosmo(token: str) -> list[bytes]:
    """One router's reports."""
    chance = random.Random(2)
    usages = [operation.usage(traffic.CLIENTS[0]) for operation in traffic.operations(100)]
    requests = []
    for _ in range(BODIES // 5):
        message = pb.PublishAggregatedGraphQLRequestMetricsRequest(
            Aggregation=[
                pb.SchemaUsageInfoAggregation(SchemaUsage=usage, RequestCount=chance.randint(1, 400))
                for usage in usages
            ]
        )
        sent = headers(token, "application/proto") | {"connect-protocol-version": "1"}
        requests.append(request(COSMO_PATH, sent, gzip.compress(message.SerializeToString(), 6)))
    return requests


def headers(token: str, content_type: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": content_type, "content-encoding": "gzip"}
