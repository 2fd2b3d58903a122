"""Blocks for a store, and everything that it holds of them afterwards."""

from __future__ import annotations

import time
from typing import Any

from reports import executions, report, shape, shape_record

from forebay.core.record import SHAPES, TALLIES, encode
from forebay.journal.port import Fetched
from forebay.loader.block import Block, build
from forebay.store.clickhouse import ClickHouse
from forebay.store.port import Origin

TABLES = (
    "traffic",
    "executions",
    "shapes",
    "shape_entries",
    "ledger",
    "dead_letters",
)


def blocks(org: str, first: int = 0) -> list[Block]:
    """Blocks that touch every table: reports of two days, a poison record, a shape."""
    now = int(time.time() * 1000)
    reports = [
        encode(report(org, "a", first + 1, 5, received=now, executions=executions(5, now))),
        encode(report(org, "a", first + 2, 7, received=now - 86_400_000)),
        b"poison",
    ]
    shapes = [encode(shape_record(org, shape("Q", "Query.a", "Query.b"), received=now))]
    return [
        build(origin(org, topic), [Fetched(first + n, now, value) for n, value in enumerate(records)], {})
        for topic, records in ((TALLIES, reports), (SHAPES, shapes))
    ]


def origin(org: str, topic: str = TALLIES) -> Origin:
    return Origin(f"store-{org}", topic, f"id of {topic}", 0)


def put(store: ClickHouse, *made: Block) -> None:
    for block in made:
        for table, rows in block.inserts():
            store.insert(table, rows, block.token)


def content(store: ClickHouse, org: str) -> dict[str, Any]:
    """Everything that each table holds of one organisation or its pipeline."""
    return {
        table: sorted(store.query(f"SELECT * FROM {table} WHERE {_whose(table)}", {"org": org}), key=repr)
        for table in TABLES
    }


def _whose(table: str) -> str:
    return "pipeline = concat('store-', {org:String})" if table == "dead_letters" else "org = {org:String}"
