"""The idea that makes it cheap: half a million equal requests are one tally, one shape, one row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from graphql import build_schema

from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.recorder import Recorder, Request
from forebay.core.record import SHAPES, TALLIES, TOPICS, Report, ShapeRecord, columns_of, encode, fields_of
from forebay.journal.port import Message
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.store.port import Store

REQUESTS = 500_000
DOCUMENT = "query Viewer { me { name email } }"


def test_half_a_million_identical_requests_are_one_tally_one_shape_and_one_row(store: Store, tmp_path: Path) -> None:
    schema = build_schema("type Query { me: User } type User { name: String email: String }")
    recorder = Recorder(lambda: Extractor(schema), Faults())
    now = time.time() // 300 * 300  # all in one minute
    for number in range(REQUESTS):
        recorder.record(Request(DOCUMENT, "Viewer", None, "web", "3.2.0", 200, False, 0.012, now))
        if number == 0:
            recorder.analyse()
    taken = recorder.take(limit=10)
    assert [count[:2] for count in taken.tallies.values()] == [(REQUESTS, 0)]
    [shape] = taken.shapes.values()

    stamp: dict[str, Any] = {"org": "identical", "graph": "g", "source": "native", "received": int(now * 1000)}
    columns: dict[str, Any] = dict(columns_of(taken.tallies))
    journal = SqliteJournal(tmp_path / "journal.sqlite3", TOPICS)
    journal.append(
        [
            Message(SHAPES, "key", encode(ShapeRecord(**fields_of(shape), **stamp))),
            Message(TALLIES, "key", encode(Report(agent="a", sequence=1, **columns, **stamp))),
        ]
    ).result()
    Loader(journal.consumer("loaders", TOPICS), store, "identical", Pace(), time.monotonic).drain()
    journal.close()
    rows = store.query("SELECT lower(hex(shape)) AS shape, requests FROM traffic WHERE org = 'identical'")
    assert rows == [{"shape": shape.id, "requests": REQUESTS}]
    assert store.query("SELECT count() AS n FROM shapes WHERE org = 'identical'") == [{"n": 1}]
