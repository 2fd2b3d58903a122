"""Messages are read out of frames however these are cut, fragmented, masked or compressed."""

from __future__ import annotations

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.router.copies import Budget
from forebay.router.frames import Frames


def frame(opcode: int, payload: bytes, mask: bytes = b"", fin: bool = True, compressed: bool = False) -> bytes:
    first = opcode | (0x80 if fin else 0) | (0x40 if compressed else 0)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    flag, size = (0x80 if mask else 0), len(payload)
    if size < 126:
        head = bytes([first, flag | size])
    elif size < 2**16:
        head = bytes([first, flag | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, flag | 127]) + size.to_bytes(8)
    return head + mask + masked


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


messages = st.lists(st.binary(max_size=300) | st.sampled_from([b"x" * 70_000, b"{}" * 500]), max_size=6)
cuts = st.lists(st.integers(0, 10**6), max_size=12)


@given(messages, cuts, cuts, st.sampled_from([b"", b"\x01\x02\x03\xff"]), st.booleans(), st.booleans())
def test_any_messages_are_read_however_they_are_cut(
    sent: list[bytes], pieces: list[int], fragments: list[int], mask: bytes, compressed: bool, forgets: bool
) -> None:
    data, deflating = b"", zlib.compressobj(wbits=-15)
    for message in sent:
        payload = message
        if compressed:
            if forgets:
                deflating = zlib.compressobj(wbits=-15)
            payload = (deflating.compress(message) + deflating.flush(zlib.Z_SYNC_FLUSH))[:-4]
        parts = cut(payload, fragments) or [b""]
        for number, part in enumerate(parts):
            fin = number == len(parts) - 1
            data += frame(0 if number else 1, part, mask, fin, compressed and not number)
            data += frame(9, b"ping", mask)  # control frames stand between fragments
    got: list[bytes | None] = []
    budget = Budget(2**20)
    frames = Frames(got.append, 2**20, budget, compressed)
    for piece in cut(data, pieces):
        frames.feed(piece)
    assert got == sent
    assert budget.left == 2**20


def test_what_is_longer_than_is_looked_at_is_passed_over_in_bounded_memory() -> None:
    deflating = zlib.compressobj(wbits=-15)
    bomb = (deflating.compress(b"x" * 50_000_000) + deflating.flush(zlib.Z_SYNC_FLUSH))[:-4]
    after = (deflating.compress(b"after") + deflating.flush(zlib.Z_SYNC_FLUSH))[:-4]
    got: list[bytes | None] = []
    budget = Budget(10_000)
    frames = Frames(got.append, 1_000, budget, True)
    frames.feed(frame(1, bomb, compressed=True) + frame(1, b"y" * 2_000) + frame(1, after, compressed=True))
    assert got == [None, None, b"after"]


def test_what_the_budget_has_no_room_for_is_passed_over_and_what_was_kept_is_given_back() -> None:
    got: list[bytes | None] = []
    budget = Budget(100)
    one, other = (Frames(got.append, 1_000, budget, False) for _ in range(2))
    one.feed(frame(1, b"x" * 80, fin=False))
    other.feed(frame(1, b"y" * 80))
    one.drop()
    other.feed(frame(1, b"z" * 80))
    assert got == [None, b"z" * 80]
    assert budget.left == 100


@pytest.mark.parametrize("first", [0xC1, 0xA1, 0x91])
def test_an_extension_that_is_not_known_can_not_be_read(first: int) -> None:
    with pytest.raises(ValueError):
        Frames(lambda _: None, 1_000, Budget(1_000), False).feed(bytes([first, 1]) + b"x")
