"""A schema check over a graph with 1,000,000 shapes × 30 days of traffic, on one core, and over a tenth of it.

The schema: 500 types of 30 fields.  Each shape is a document of its own: 20 fields on five levels
under one of 20 root fields, with an argument; it has traffic from one client a day.  The rows are
made by the engine itself.

A check is `Insights.check` in full: parse and compare the schemas, how far the window can be
trusted, the traffic that is concerned, each shape judged.  The new schema is another text each time,
which has to be read; the served one is known, as a console knows it.  The first run, in which Python
and the engine warm up, is not counted.  Seconds are of CPU, all threads of the engine included, so
it must not merge parts meanwhile.
- `check/unused`: a field goes that nobody uses;
- `check/used`: one goes that 0.3 % of the shapes use;
- `check/type`: a field that 1.7 % use becomes of another type, so that documents stay valid and are validated;
- `check/root`: a root field goes that 5 % use.
Of the last three 100 operations are judged, which settle it; the answer counts the others.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from forebay.core.record import TOPICS
from forebay.insights.answers import Scope
from forebay.insights.insights import Insights
from forebay.journal.sqlite import SqliteJournal
from forebay.serving import collect_seldom
from forebay.store.clickhouse import ClickHouse

from .result import Result, at_most

SHAPES, DAYS, PORTION, ROUNDS = 1_000_000, 30, 100_000, 3
TYPES, FIELDS, SCALARS, ROOTS, LEVELS = 500, 20, 10, 20, 5
SCOPE = Scope("bench", "shop")

SHAPE = f"""
WITH number % {ROOTS} AS root, arrayMap(k -> sipHash64(number, k) % {FIELDS}, range({LEVELS - 1})) AS steps,
  arrayFold((path, step) -> arrayPushBack(path, (7 * path[-1] + 3 * step) % {TYPES}), steps, [toUInt64(root)]) AS path,
  arrayMap(k -> arrayMap(i -> (sipHash64(number, 100 + k) + i) % {SCALARS}, range(3)), range({LEVELS})) AS leaves,
  arrayConcat(
    [('field', concat('Query.r', toString(root)), concat('T', toString(root)), 0),
     ('argument', concat('Query.r', toString(root), '(id:)'), 'ID', 1)],
    arrayMap((step, at, to) ->
      ('field', concat('T', toString(at), '.f', toString(step)), concat('T', toString(to)), 0),
      steps, arrayPopBack(path), arrayPopFront(path)),
    arrayFlatten(arrayMap((each, at) -> arrayMap(leaf ->
      ('field', concat('T', toString(at), '.s', toString(leaf)), 'String', 0), each), leaves, path))
  ) AS used
SELECT number, used, concat(
  'query Op', toString(number), '($id: ID!) {{ r', toString(root), '(id: $id) {{ ',
  arrayStringConcat(arrayMap((step, each) ->
    concat(arrayStringConcat(arrayMap(leaf -> concat('s', toString(leaf), ' '), each)), 'f', toString(step), ' {{ '),
    steps, arrayPopBack(leaves))),
  arrayStringConcat(arrayMap(leaf -> concat('s', toString(leaf), ' '), leaves[-1])),
  repeat('}} ', {LEVELS + 1})) AS document,
  'bench' AS org, 'shop' AS graph, sipHash128(number) AS shape, lower(hex(sipHash64(number))) AS operation,
  concat('Op', toString(number)) AS name, now() - 86400 * {DAYS - 1} AS received
FROM numbers(FIRST, {PORTION})
"""


ROWS = (
    f"""INSERT INTO shapes SELECT org, graph, shape, 'native', operation, name, 'query', document, false,
      ['arguments', 'document', 'enum_values', 'fields', 'inputs', 'states'], toJSONString(used), received
    FROM ({SHAPE})""",
    f"""INSERT INTO shape_entries SELECT org, graph, use.2, use.1, shape, use.3, use.4, true, operation, name, 'query',
      received FROM ({SHAPE}) ARRAY JOIN used AS use""",
    f"""INSERT INTO traffic SELECT org, graph, shape, concat('client', toString(number % 200)),
      concat('1.', toString(number % 10)), 'v', 200, toStartOfDay(received) + 86400 * day + 3600 * (number % 24),
      1 + number % 100, 0, map(50, 1 + number % 100)
    FROM ({SHAPE}) ARRAY JOIN range({DAYS}) AS day""",
    f"""INSERT INTO field_types SELECT DISTINCT org, graph, use.2, use.3, received
    FROM ({SHAPE}) ARRAY JOIN used AS use WHERE use.1 = 'field'""",
    f"INSERT INTO shape_seen SELECT org, graph, shape, now() - number % 86400 FROM ({SHAPE})",
)

LEDGER = f"""
INSERT INTO ledger (pipeline, org, graph, tallies, records, last_appended, first_time, last_time)
SELECT 'bench', 'bench', 'shop', 1, 1, now(), now() - 86400 * {2 * DAYS}, now()
"""

QUESTIONS = {
    "unused": ("T5.unused", ""),
    "used": ("T5.f3", ""),
    "type": ("T5.s1", "  s1: Int\n"),
    "root": ("Query.r3", ""),
}
"""What becomes of which field: nothing is left of it, or this line."""


def run() -> Iterator[Result]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield from pool.apply(measure)


def measure() -> list[Result]:
    """In a process of its own, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    collect_seldom()  # as a console does
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        journal = SqliteJournal(Path(directory) / "journal.sqlite", TOPICS)
        store = ClickHouse(f"chdb:{directory}/store")
        store.migrate()
        store.command(f"INSERT INTO schemas SELECT 'bench', 'shop', 'v', 'native', '{sdl()}', now()")
        store.command(LEDGER)
        insights = Insights(store, journal, "loaders", "bench", time.time)
        fill(store, 0, SHAPES // 10)
        tenth = [ask(insights, *question) for question in QUESTIONS.values()]
        fill(store, SHAPES // 10, SHAPES)
        whole = [ask(insights, *question) for question in QUESTIONS.values()]
        store.close()
        journal.close()
    return [
        at_most(
            2, f"check/{name}", seconds, "s", f"{judged:,} operations concerned; of a tenth of the shapes {less:.2f} s"
        )
        for name, (seconds, judged), (less, _) in zip(QUESTIONS, whole, tenth, strict=True)
    ]


def fill(store: ClickHouse, first: int, end: int) -> None:
    """A portion is a part in each week, ten in all: a loader under load leaves six (`partitions`)."""
    store.command("SYSTEM START MERGES")
    at_once = f"SETTINGS min_insert_block_size_rows = {PORTION * DAYS}, min_insert_block_size_bytes = 0"
    for portion in range(first, end, PORTION):
        for rows in ROWS:
            store.command(f"{rows.replace('FIRST', str(portion))} {at_once}")
    for table in ("shapes", "shape_entries", "shape_seen"):  # of traffic it takes minutes, and changes little
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    store.command("SYSTEM STOP MERGES")


def ask(insights: Insights, coordinate: str, line: str) -> tuple[float, int]:
    """CPU seconds of a check, and how many operations it concerns."""
    spans: list[float] = []
    changed = sdl(coordinate, line)
    for number in range(ROUNDS + 1):
        unread = f"{changed}\n# {number}"
        begun = time.process_time()
        answer = insights.check(SCOPE, unread, last=f"{DAYS}d")
        spans.append(time.process_time() - begun)
    assert answer.about.complete, answer.about.incomplete
    [change] = answer.changes
    return statistics.median(spans[1:]), len(change.operations) + answer.unjudged


def sdl(changed: str = "", line: str = "") -> str:
    """The schema, with this line for the field at the coordinate."""
    lines = {f"Query.r{number}": f"  r{number}(id: ID!): T{number}\n" for number in range(ROOTS)}
    for type_ in range(TYPES):
        lines |= {f"T{type_}.s{number}": f"  s{number}: String\n" for number in range(SCALARS)}
        lines |= {
            f"T{type_}.f{number}": f"  f{number}: T{(7 * type_ + 3 * number) % TYPES}\n" for number in range(FIELDS)
        }
    lines["T5.unused"] = "  unused: String\n"
    lines |= {changed: line} if changed else {}
    types: dict[str, list[str]] = {}
    for coordinate, text in lines.items():
        types.setdefault(coordinate.partition(".")[0], []).append(text)
    return "\n".join(f"type {name} {{\n{''.join(fields)}}}" for name, fields in types.items())
