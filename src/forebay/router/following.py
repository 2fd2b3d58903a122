"""The schema, followed in the background: read until it is known, and again now and then."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from .. import metrics
from ..errors import RetryLater
from .reports import Reports
from .schemas import Source

FIRST_RETRY: Final = 0.5
LAST_RETRY: Final = 30.0
"""Seconds between attempts; they double."""

log = structlog.get_logger()


async def follow(source: Source, reports: Reports, refresh: float, hold: float) -> None:
    """Runs until it is cancelled; after `hold` seconds without a schema, nothing waits for it any longer."""
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
