"""What comes in is bounded by the limits of one body, and by a budget for all together."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from forebay.collector.admission import Admission, Limits
from forebay.errors import RejectRecord, RetryLater

LIMITS = Limits(compressed_bytes=1000, plain_bytes=5000, budget_bytes=2000)


def read(*chunks: bytes, declared: int | None = None) -> bytes:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return asyncio.run(Admission(LIMITS).read(arriving(), declared))


def test_a_body_is_read_up_to_the_limit_whatever_it_declares() -> None:
    assert read(b"a" * 600, b"b" * 400) == b"a" * 600 + b"b" * 400
    for chunks, declared in (((b"a" * 600, b"b" * 401), None), ((b"a" * 1001,), 5), ((), 1001)):
        with pytest.raises(RejectRecord, match="larger than") as rejected:
            read(*chunks, declared=declared)
        assert rejected.value.reason == "too_large"


@given(st.binary(max_size=5000))
def test_decompressing_is_the_inverse_of_compressing(plain: bytes) -> None:
    admission = Admission(LIMITS)
    half = len(plain) // 2
    members = gzip.compress(plain[:half]) + gzip.compress(plain[half:])
    for body, encoding in (
        (plain, ""),
        (plain, "identity"),
        (gzip.compress(plain), "gzip"),
        (members, "GZIP"),
        (zstandard.compress(plain), "zstd"),
    ):
        assert admission.decompress(body, encoding) == plain


@pytest.mark.parametrize("size", [5001, 100_000, 10_000_000])
def test_a_body_that_grows_beyond_the_limit_is_refused_without_growing(size: int) -> None:
    for body, encoding in ((gzip.compress(b" " * size), "gzip"), (zstandard.compress(b" " * size), "zstd")):
        with pytest.raises(RejectRecord) as rejected:
            Admission(LIMITS).decompress(body, encoding)
        assert rejected.value.reason == "too_large"


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "zstd"]))
def test_what_is_not_compressed_is_malformed(body: bytes, encoding: str) -> None:
    with pytest.raises(RejectRecord) as rejected:
        Admission(LIMITS).decompress(body, encoding)
    assert rejected.value.reason == "malformed"


def test_the_budget_is_shared_and_given_back_and_one_body_always_passes() -> None:
    admission = Admission(LIMITS)
    with admission.reserve(10_000):
        pass
    with admission.reserve(1500):
        with pytest.raises(RetryLater) as later, admission.reserve(501):
            pass
        assert later.value.retry_after > 0
        with admission.reserve(500):
            pass
    with admission.reserve(2000):
        pass
