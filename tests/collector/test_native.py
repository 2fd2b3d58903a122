"""Reading the native protocol: shapes are checked once, and never trusted for bytes that were not."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import shape

from forebay.collector.protocols.native import Normaliser
from forebay.core import wire
from forebay.core.record import ShapeColumns, columns_of
from forebay.errors import RejectRecord

SHAPE = ShapeColumns.of(shape("Q", "Query.a", "Query.b"))


def body(*shapes: ShapeColumns) -> bytes:
    columns: dict[str, Any] = columns_of({(1, "v", SHAPE.id, "web", "1", 200): (1, 0, {})})
    return wire.encode(wire.Push(agent="a", sequence=1, shapes=list(shapes), **columns))


def test_a_shape_can_be_described_whether_it_is_new_or_known_by_its_bytes() -> None:
    normaliser = Normaliser()
    for _ in range(2):
        report, named = normaliser.read(body(SHAPE))
        assert report.shape == [SHAPE.id]
        assert {id_: describe() for id_, describe in named.items()} == {SHAPE.id: SHAPE}


def test_a_shape_that_is_not_what_its_id_says_is_refused_also_after_the_true_one() -> None:
    normaliser = Normaliser()
    normaliser.read(body(SHAPE))
    forged = msgspec.structs.replace(SHAPE, coordinate=["Query.a", "Query.c"])
    for _ in range(2):
        with pytest.raises(RejectRecord, match="not the hash"):
            normaliser.read(body(forged))


@given(st.binary(max_size=300))
def test_rubbish_is_refused_and_never_ends_in_another_error(raw: bytes) -> None:
    with pytest.raises(RejectRecord):
        Normaliser().read(raw)


@given(st.integers(0, 1000), st.integers(0, 255))
def test_a_damaged_report_is_either_read_or_refused(at: int, byte: int) -> None:
    raw = bytearray(body(SHAPE))
    raw[at % len(raw)] = byte
    with contextlib.suppress(RejectRecord):
        Normaliser().read(bytes(raw))


def test_deep_nesting_is_refused() -> None:
    for nested in (b'{"shapes":' + b"[" * 100_000, body().replace(b'"shapes":[]', b'"shapes":[' + b"[" * 100_000)):
        with pytest.raises(RejectRecord):
            Normaliser().read(nested)
