"""Records are versioned: what is in a journal today must be readable for as long as `v` is 1."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.coordinate import Entry, Kind, State
from forebay.core.execution import Outcome
from forebay.core.record import (
    ExecutionColumns,
    Record,
    Report,
    SchemaRecord,
    ShapeColumns,
    ShapeRecord,
    columns_of,
    decode,
    encode,
    fields_of,
)
from forebay.core.shape import Coverage, OperationType, Shape, unique_entries
from forebay.core.tally import Tallies
from forebay.errors import RejectRecord

GOLDEN = Path(__file__).parent.parent / "fixtures" / "records"

SHAPE = Shape(
    operation="a" * 32,
    name="Viewer",
    type=OperationType.QUERY,
    document="query Viewer{me{email}}",
    entries=unique_entries(
        [
            Entry(Kind.FIELD, "User.email", "String"),
            Entry(Kind.FIELD, "Query.me", "User"),
            Entry(Kind.ARGUMENT, "Query.me(as:)", "Role", State.ABSENT),
        ]
    ),
    coverage=frozenset({Coverage.FIELDS, Coverage.ARGUMENTS}),
)
STAMP: dict[str, Any] = {"org": "acme", "graph": "products", "source": "native", "received": 1_795_000_000_000}


def columns(tallies: Tallies) -> dict[str, Any]:
    return dict(columns_of(tallies))


RECORDS: dict[str, Record] = {
    "report": Report(
        agent="0123456789abcdef" * 2,
        sequence=7,
        lost={"memory": 3},
        adjusted={"future": 1},
        **columns(
            {
                (29_916_666, "v1", SHAPE.id(), "web", "3.2.0", 200): (500_000, 2, {80: 499_998, 120: 2}),
                (29_916_667, "v1", SHAPE.id(), "", "", 500): (1, 1, {}),
            }
        ),
        **STAMP,
    ),
    "report-executions": Report(
        agent="0123456789abcdef" * 2,
        sequence=8,
        **columns({(29_916_666, "v1", SHAPE.id(), "web", "3.2.0", 200): (5, 2, {80: 5})}),
        executions=ExecutionColumns.of(
            {
                (29_916_666, SHAPE.id(), "User.email", "web", "3.2.0"): Outcome(requests=2, errors=3),
                (29_916_666, "", "User.email", "web", "3.2.0"): Outcome(
                    executions=200, sampled=2, failed=100, duration={70: 200}
                ),
                (29_916_666, "", "", "", ""): Outcome(requests=1, errors=1),
            }
        ),
        **STAMP,
    ),
    "shape": ShapeRecord(**fields_of(ShapeColumns.of(SHAPE)), **STAMP),
    "schema": SchemaRecord(id="v1", sdl="type Query { me: User }", **STAMP),
}


@pytest.mark.parametrize("name", RECORDS)
def test_golden_files_are_read_and_written_byte_for_byte(name: str) -> None:
    golden = (GOLDEN / f"{name}-v1.json").read_bytes().rstrip(b"\n")
    assert decode(golden) == RECORDS[name]
    assert encode(RECORDS[name]) == golden


def test_a_shape_keeps_its_id_through_a_record() -> None:
    record = RECORDS["shape"]
    assert isinstance(record, ShapeRecord)
    assert record.shape() == SHAPE
    assert record.id == SHAPE.id() == "4140707f11a9db31755266fd67291f2f"


def test_unknown_fields_are_tolerated() -> None:
    raw = encode(RECORDS["schema"])
    assert decode(raw[:-1] + b',"later":{"more":[1]}}') == RECORDS["schema"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"requests":[500000,1]', b'"requests":[-1,1]'),
        (b'"requests":[500000,1]', b'"requests":[NaN,1]'),
        (b'"requests":[500000,1]', b'"requests":[1.5,1]'),
        (b'"requests":[500000,1]', b'"requests":[18446744073709551616,1]'),
        (b'"requests":[500000,1]', b'"requests":[500000]'),
        (b'"errors":[2,1]', b'"errors":[2,2]'),
        (b'"sequence":7', b'"sequence":0'),
        (b'"v":1', b'"v":2'),
        (b'"status":[200,500]', b'"status":[200,5000]'),
        (b'{"80":', b'{"384":'),
        (b'"client":["web",""]', b'"client":["' + b"x" * 1025 + b'",""]'),
        (b'"record":"tallies"', b'"record":"surprise"'),
    ],
)
def test_a_report_that_breaks_an_invariant_is_refused(old: bytes, new: bytes) -> None:
    raw = encode(RECORDS["report"])
    assert old in raw
    with pytest.raises(RejectRecord):
        decode(raw.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"errors":[3,0,1]', b'"errors":[3,0]'),
        (b'"errors":[3,0,1]', b'"errors":[1,0,1]'),
        (b'"failed":[0,100,0]', b'"failed":[0,201,0]'),
        (b'"sampled":[0,2,0]', b'"sampled":[0,-2,0]'),
        (b'"duration":[{},{"70":', b'"duration":[{},{"384":'),
        (b'"shape":["4140', b'"shape":["414'),
        (b'"shape":["4140', b'"shape":["x140'),
        (b'"coordinate":["User.email"', b'"coordinate":[null'),
    ],
)
def test_executions_that_break_an_invariant_are_refused(old: bytes, new: bytes) -> None:
    head, between, executions = encode(RECORDS["report-executions"]).partition(b'"executions":')
    assert old in executions
    with pytest.raises(RejectRecord):
        decode(head + between + executions.replace(old, new))


def test_executions_come_back_from_their_columns() -> None:
    record = RECORDS["report-executions"]
    assert isinstance(record, Report)
    assert record.executions
    executions = dict(record.executions.rows())
    assert ExecutionColumns.of(executions) == record.executions
    assert ExecutionColumns.of({}) == ExecutionColumns.of(dict(ExecutionColumns.of({}).rows()))


@given(st.binary(max_size=300))
def test_rubbish_is_refused_and_never_ends_in_another_error(raw: bytes) -> None:
    with pytest.raises(RejectRecord):
        decode(raw)


@given(st.data())
def test_a_damaged_record_is_either_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(encode(RECORDS[data.draw(st.sampled_from(sorted(RECORDS)))]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RejectRecord):
        decode(bytes(raw))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(RejectRecord):
        decode(b'{"record":"tallies","minute":' + b"[" * 100_000)
