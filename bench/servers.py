"""The servers of the benches `ingest` and `collect`, each in a process and on a core of its own.

    python -m bench.servers forebay|collect|bare PORT DIRECTORY

`forebay` is the collector's routes on the embedded journal in DIRECTORY, fsync and all, and
nothing else.  `collect` is `forebay collect`, whose Kafka the environment names.  `bare` is the same
server and framework: it reads the same body, decompresses and parses it in the same way, hashes it,
and answers 200.  All are stopped with SIGTERM.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import zlib
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from forebay.access import SigningKeys
from forebay.collector.admission import Limits
from forebay.collector.app import Collector
from forebay.collector.protocols import cosmo
from forebay.collector.protocols import cosmo_pb2 as pb
from forebay.core import wire
from forebay.core.record import TOPICS
from forebay.journal.sqlite import SqliteJournal
from forebay.serving import Address, serve
from forebay.wiring import fleet

COSMO_PATH = f"/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/{cosmo.Call.AGGREGATED}"


def bare() -> ASGIApp:
    async def native(request: Request) -> Response:
        body = await request.body()
        msgspec.json.decode(zlib.decompress(body, wbits=31))
        hashlib.sha256(body).hexdigest()
        return Response(b'{"accepted":true}', media_type="application/json")

    async def aggregated(request: Request) -> Response:
        body = await request.body()
        message = pb.PublishAggregatedGraphQLRequestMetricsRequest()
        message.ParseFromString(zlib.decompress(body, wbits=31))
        hashlib.sha256(body).hexdigest()
        return Response(b"", media_type="application/proto")

    routes = [Route(wire.PATH, native, methods=["POST"]), Route(COSMO_PATH, aggregated, methods=["POST"])]
    return Starlette(routes=routes)


def main() -> None:
    kind, address, directory = sys.argv[1], Address("127.0.0.1", int(sys.argv[2])), Path(sys.argv[3])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if kind == "bare":
        asyncio.run(serve(bare(), address, started=lambda: None))
        return
    if kind == "collect":
        fleet.collect(directory, address, started=lambda: None)
        return
    journal = SqliteJournal(directory / "journal.sqlite", TOPICS)
    collector = Collector(journal, SigningKeys.load(directory / "keys.json"), Limits())
    asyncio.run(serve(Starlette(routes=collector.routes()), address, started=lambda: None))
    journal.close()


if __name__ == "__main__":
    main()
