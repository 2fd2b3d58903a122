"""A block says everything that became of its records, and the same each time it is built."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reports import executions, report, shape, shape_record

from forebay.core.record import ExecutionColumns, encode
from forebay.core.sequences import MAX_INTERVALS, Sequences
from forebay.journal.port import Fetched
from forebay.loader.block import build, token
from forebay.store.port import AgentKey, Origin, Row

ORIGIN = Origin("p", "forebay.tallies", "topic-id", 0)
SHAPES_ORIGIN = Origin("p", "forebay.shapes", "topic-id", 0)


def fetched(*values: bytes, first: int = 0) -> list[Fetched]:
    return [Fetched(first + n, 1_795_000_000_000 + n, value) for n, value in enumerate(values)]


def detail(row: Row) -> dict[str, Any]:
    """What a range's row says of it in one JSON text."""
    found: dict[str, Any] = json.loads(row["detail"])
    return found


def of_kind(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["record"] == kind]


def test_equal_tallies_of_many_reports_become_one_row() -> None:
    records = fetched(*(encode(report("o", f"agent-{n}", 1, requests=5)) for n in range(100)))
    block = build(ORIGIN, records, {})
    [tallies] = of_kind(block.rows, "tallies")
    [ledger] = of_kind(block.rows, "range")
    assert (tallies["requests"], tallies["duration"]) == ([500], [{10: 500}])
    assert (ledger["records"], ledger["tallies"], ledger["landed_requests"]) == (100, 100, 500)
    assert (ledger["first_offset"], ledger["last_offset"]) == (0, 99)
    assert block.requests == 500


def test_executions_are_folded_and_go_in_first_and_a_range_without_any_is_one_insert() -> None:
    records = fetched(
        *(encode(report("o", f"agent-{n}", 1, 5, executions=executions(n))) for n in (1, 2)),
        encode(report("o", "agent-3", 1, 5)),
        encode(report("o", "agent-1", 1, 5, executions=executions(1))),  # a repeat
    )
    block = build(ORIGIN, records, {})
    (first, [row]), (second, _) = block.inserts()
    assert (first, second) == ("landing_executions", "landing")
    columns = dict(zip(ExecutionColumns.__struct_fields__, row["executions"], strict=True))
    assert (columns["coordinate"], columns["errors"]) == (["User.email"] * 2, [3, 0])
    assert (columns["sampled"], columns["executions"], columns["duration"][1]) == ([0, 3], [0, 30], {10: 30})
    [ledger] = of_kind(block.rows, "range")
    assert list(detail(ledger)["executions"].values()) == [6]
    assert block.weight == 1 + 2
    assert [table for table, _ in build(ORIGIN, records[2:3], {}).inserts()] == ["landing"]


def test_graphs_are_kept_apart() -> None:
    records = fetched(encode(report("o", "a", 1, 2, graph="x")), encode(report("o", "a", 1, 3, graph="y")))
    block = build(ORIGIN, records, {})
    assert {row["graph"]: row["requests"] for row in of_kind(block.rows, "tallies")} == {"x": [2], "y": [3]}
    assert block.seen == {("o", "x", "a"): ((1, 1),), ("o", "y", "a"): ((1, 1),)}


def test_a_repeat_is_recognised_within_the_range_and_from_before_it() -> None:
    records = fetched(encode(report("o", "a", 3, 10)), encode(report("o", "a", 3, 10)), encode(report("o", "a", 2, 7)))
    block = build(ORIGIN, records, {("o", "g", "a"): ((1, 2),)})
    [ledger] = of_kind(block.rows, "range")
    assert (ledger["landed_requests"], ledger["repeats"], ledger["repeat_requests"]) == (10, 2, 17)
    assert (ledger["seen_before"], ledger["seen_after"]) == (["1-2"], ["1-3"])


def test_a_bad_record_goes_to_the_dead_letters_alone_and_raw() -> None:
    bad = b"\xff\x00not json"
    records = fetched(encode(report("o", "a", 1, 4)), bad, encode(report("o", "a", 2, 5)), first=40)
    block = build(ORIGIN, records, {})
    nobody = next(row for row in of_kind(block.rows, "range") if row["org"] == "")
    [(offset, _, reason, _, raw)] = detail(nobody)["dead"]
    assert (offset, reason, base64.b64decode(raw)) == (41, "undecodable", bad)
    assert sum(row["records"] for row in of_kind(block.rows, "range")) == 3
    assert (block.requests, block.dead_letters) == (9, 1)


def test_an_agent_that_leaves_gaps_without_end_is_kept_in_the_dead_letters() -> None:
    held: Sequences = tuple((2 * n, 2 * n) for n in range(1, MAX_INTERVALS + 1))
    block = build(ORIGIN, fetched(encode(report("o", "a", 10_000))), {("o", "g", "a"): held})
    [ledger] = of_kind(block.rows, "range")
    assert [reason for _, _, reason, _, _ in detail(ledger)["dead"]] == ["sequence_gaps"]
    assert ledger["landed_requests"] == 0
    filling = build(ORIGIN, fetched(encode(report("o", "a", 3))), {("o", "g", "a"): held})
    assert filling.requests == 1


def test_a_shape_that_is_published_twice_in_a_range_is_one_row() -> None:
    records = fetched(*(encode(shape_record("o", shape("Q", "A.b"), received=n)) for n in (1, 2)))
    block = build(SHAPES_ORIGIN, records, {})
    [row] = of_kind(block.rows, "shape")
    assert block.table == "landing_named"
    assert (row["received"], row["coordinate"], row["record"]) == (2, ["A.b"], "shape")


def test_a_record_in_the_wrong_topic_is_kept_in_the_dead_letters() -> None:
    wrong = [
        (ORIGIN, encode(shape_record("o", shape("Q", "A.b")))),
        (SHAPES_ORIGIN, encode(report("o", "a", 1))),
    ]
    for origin, raw in wrong:
        [row] = build(origin, fetched(raw), {}).rows
        [(_, _, reason, _, kept)] = detail(row)["dead"]
        assert (reason, base64.b64decode(kept)) == ("wrong_topic", raw)


def test_losses_that_agents_report_reach_the_ledger() -> None:
    records = fetched(encode(report("o", "a", 1, lost={"memory": 2})), encode(report("o", "b", 1, lost={"memory": 3})))
    [row] = of_kind(build(ORIGIN, records, {}).rows, "range")
    assert (row["lost_requests"], detail(row)["lost"]) == (5, {"memory": 5})


def test_the_token_names_everything_that_tells_one_insert_from_another() -> None:
    origins = [Origin(*fields) for fields in itertools.product(["p", "q"], ["t"], ["x", "y"], [0, 1], [0, 1])]
    tokens = {token(origin, first, end) for origin in origins for first, end in ((0, 5), (0, 6), (5, 6))}
    assert len(tokens) == len(origins) * 3


agents = st.sampled_from(["a", "b", "c"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(agents, st.integers(1, 6)), min_size=1, max_size=30), st.data())
def test_however_the_log_is_cut_into_ranges_each_report_counts_once(
    log: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Requests are 10^agent × sequence, so that a total tells which reports it holds."""
    weight = {"a": 1, "b": 100, "c": 10_000}
    values = [encode(report("o", agent, n, requests=weight[agent] * n)) for agent, n in log]
    records = fetched(*values)
    total, at = 0, 0
    seen: dict[AgentKey, Sequences] = {}
    while at < len(records):
        end = data.draw(st.integers(at + 1, len(records)))
        block = build(ORIGIN, records[at:end], seen)
        assert build(ORIGIN, records[at:end], seen) == block  # a replay decides alike
        [ledger] = of_kind(block.rows, "range")
        appended = sum(weight[agent] * n for agent, n in log[at:end])
        assert ledger["landed_requests"] + ledger["repeat_requests"] == appended
        total += block.requests
        seen |= block.seen
        at = end
    assert total == sum(weight[agent] * n for agent, n in set(log))
