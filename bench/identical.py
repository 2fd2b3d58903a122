"""Half a million identical requests are one row.

500,000 requests of one operation in one minute go through the agent's Recorder, as one report and its shape
through the journal and the loader into the store.  `identical/rows`: rows of traffic for
them; that their requests are exactly 500,000 and the shape is there once is checked by the same bench, which
fails otherwise.  `identical/tallies`: tallies that the agent sends.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from graphql import build_schema

from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.recorder import Recorder, Request
from forebay.core.record import SHAPES, TALLIES, TOPICS, Report, ShapeRecord, columns_of, encode
from forebay.journal.port import Message
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.store.clickhouse import ClickHouse

from .record import NOW, PLAIN, SCHEMA
from .result import Result, at_most

REQUESTS = 500_000


def run() -> Iterator[Result]:
    schema = build_schema(SCHEMA)
    recorder = Recorder(lambda: Extractor(schema), Faults())
    recorder.record(Request(PLAIN, "Plain", None, "web", "3.2.0", 200, False, 0.0123, NOW))
    recorder.analyse()
    for _ in range(REQUESTS - 1):
        recorder.record(Request(PLAIN, "Plain", None, "web", "3.2.0", 200, False, 0.0123, NOW))
    taken = recorder.take(limit=1_000)
    assert not taken.lost
    stamp: dict[str, Any] = {"org": "bench", "graph": "shop", "source": "native", "received": int(NOW * 1000)}
    columns: dict[str, Any] = dict(columns_of(taken.tallies))
    messages = [
        Message(SHAPES, "bench", encode(ShapeRecord(**msgspec.structs.asdict(shape), **stamp)))
        for shape in taken.shapes.values()
    ]
    report = Report(agent="bench", sequence=1, **columns, **stamp)
    messages.append(Message(TALLIES, "bench", encode(report)))
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        journal = SqliteJournal(Path(directory) / "journal.sqlite", TOPICS)
        store = ClickHouse(f"chdb:{directory}/store")
        store.migrate()
        journal.append(messages).result()
        Loader(journal.consumer("bench", TOPICS), store, "bench", Pace(), time.monotonic).drain()
        rows = store.query("SELECT shape, requests FROM traffic")
        shapes = store.query("SELECT shape FROM shapes")
        journal.close()
        store.close()
    assert sum(row["requests"] for row in rows) == REQUESTS
    assert [row["shape"] for row in shapes] == [row["shape"] for row in rows][:1]
    yield at_most(1, "identical/rows", len(rows), "rows", f"{REQUESTS:,} requests, all of them counted")
    yield at_most(1, "identical/tallies", len(taken.tallies), "tallies", f"{REQUESTS:,} requests")
