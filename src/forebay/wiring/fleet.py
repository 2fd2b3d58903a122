"""A fleet: collectors, loaders and consoles as processes, on Kafka and ClickHouse.

Each function serves until SIGTERM or SIGINT and then tells, in a sentence, what is left and where.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .. import settings
from ..access import ENVIRONMENT, SigningKeys
from ..collector.app import Collector
from ..collector.spill import MIB, Spill
from ..console.app import routes
from ..console.gate import Gate
from ..core.record import TOPICS
from ..datadir import keys_path
from ..errors import RetryLater, Stop
from ..insights.freshness import Freshness
from ..insights.insights import Insights
from ..journal.port import Journal
from ..serving import Address, check_port, collect_seldom, metrics_route, serve
from ..store.clickhouse import ClickHouse
from ..store.pull import pull_kafka_engine
from ..store.window import Window, window
from .limits import limits
from .loading import GROUP, Loading
from .told import tell_progress, tell_status

PIPELINE = "fleet"
Started = Callable[[], None]


def cluster() -> settings.KafkaSettings:
    """How Kafka is reached."""
    own = settings.read(settings.KafkaSettings)
    if not own.brokers:
        raise Stop("name the Kafka cluster in FOREBAY_KAFKA_BROKERS, as host:port,…")
    return own


def journal() -> Journal:
    """The journal on Kafka."""
    own = cluster()
    try:
        from ..journal.kafka import KafkaJournal
    except ImportError:
        raise Stop("Kafka's client is not installed: pip install 'forebay[kafka]'") from None
    return KafkaJournal(own, TOPICS)


def shared_keys(data: Path) -> SigningKeys:
    """Keys made by one member alone would make tokens that the others refuse."""
    if ENVIRONMENT not in os.environ and not keys_path(data).exists():
        raise Stop(
            f"the members of a fleet share their signing keys: set {ENVIRONMENT} (id:secret,…), or give each a data"
            f" directory with the same {keys_path(data).name}"
        )
    return SigningKeys.load(keys_path(data))


def store() -> ClickHouse:
    """ClickHouse; nothing is asked of it yet."""
    dsn = settings.read(settings.StoreSettings).dsn
    if not dsn:
        raise Stop("name ClickHouse in FOREBAY_STORE_DSN, as http://user:password@host:8123/forebay")
    return ClickHouse(dsn)


def replayable() -> Window:
    """How far back the store's tables must remember inserts."""
    partitions = settings.read(settings.KafkaSettings).partitions + len(TOPICS) - 1
    return window(partitions, inserts_per_second=1, reach=settings.read(settings.StoreSettings).reach)


def collect(data: Path, address: Address, started: Started) -> str:
    """Take reports in, and append them to Kafka; while it is away, to a directory of our own in `data`."""
    check_port(address)
    keys = shared_keys(data)
    own = settings.read(settings.SpillSettings)
    gate = Gate(None if address.loopback else keys)
    with closing(journal()) as kafka:
        spill = Spill(kafka, data / "spill", own.after, own.segment_mib * MIB, own.total_mib * MIB, time.time)
        collector = Collector(spill, keys, limits(), time.time, lambda: spill.trouble)
        try:
            asyncio.run(serve(Starlette(routes=[*collector.routes(), metrics_route(gate.admit)]), address, started))
        finally:
            left = spill.close()
    if waiting := left.records + left.refused:
        return f"stopped; {waiting:,} reports are left in {left.directory}: the next collector on it sends them"
    return "stopped; everything acknowledged is in Kafka"


def load(data: Path, address: Address, started: Started) -> str:
    """Load from Kafka into ClickHouse; `address` serves /health and /metrics alone."""
    check_port(address)
    gate = Gate(None if address.loopback else shared_keys(data))
    with closing(journal()) as kafka, closing(store()) as clickhouse:
        loading = Loading(kafka, clickhouse, PIPELINE, prepare=lambda: clickhouse.check(replayable()))

        async def health(_: Request) -> Response:
            trouble = loading.progress.trouble
            return JSONResponse({"status": trouble or "ok"}, 503 if trouble else 200)

        collect_seldom()
        loading.start()
        try:
            told = metrics_route(gate.admit, lambda: tell_progress(loading.progress))
            asyncio.run(serve(Starlette(routes=[Route("/health", health), told]), address, started))
        finally:
            trouble = loading.stop()
            left = _left(kafka)
    if trouble:
        raise Stop(f"Kafka keeps {left} that are not loaded: {trouble}")
    return f"stopped; loaded {loading.progress.records:,} records since the start, Kafka keeps {left} for the next"


def console(data: Path, address: Address, started: Started) -> str:
    """Answer questions: the page and the JSON API."""
    check_port(address)
    gate = Gate(None if address.loopback else shared_keys(data))
    with closing(journal()) as kafka, closing(store()) as clickhouse:
        insights = Insights(clickhouse, kafka, GROUP, PIPELINE, time.time)
        told = metrics_route(gate.admit, lambda: tell_status(insights.status()))
        app = Starlette(routes=[*routes(insights, gate), Route("/health", _alive), told])
        asyncio.run(serve(app, address, started))
    return "stopped"


def _left(kafka: Journal) -> str:
    """The records that no loader has loaded."""
    try:
        backlog = Freshness(kafka, GROUP, time.time).backlog()
    except (RetryLater, Stop):
        return "the records"
    return f"{sum(lag.lag_records for lag in backlog.partitions):,} records"


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def migrate() -> None:
    """Make the tables what this Forebay needs; they remember inserts for as long as one may be repeated."""
    with closing(store()) as clickhouse:
        clickhouse.migrate(replayable())


def pull(apply: bool) -> list[str]:
    """The statements with which ClickHouse's Kafka engine pulls instead of the loader; run if `apply`."""
    own = cluster()
    statements = pull_kafka_engine(own.brokers, "forebay-pull", own.partitions, replayable().parts)
    if apply:
        with closing(store()) as clickhouse:
            for statement in statements:
                clickhouse.command(statement)
    return statements
