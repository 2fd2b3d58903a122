"""The spill's format on disk: a segment is a row of frames, a frame is one append as a whole.

| bytes | a frame holds                                                        |
|-------|----------------------------------------------------------------------|
| 4     | a mark                                                               |
| 4     | CRC-32 of all that follows                                           |
| 4     | length of the payload                                                |
| 4     | how many bytes of the segment were durable when it was written       |
| 8     | when it was written, in ms since the epoch                           |
| n     | payload: MessagePack of `[[topic, key, value], …]`                   |

Numbers are little-endian.  A frame that is not whole and true counts as absent; the mark lets
reading go on behind it.  What a later frame calls durable had been acknowledged, so a hole in it
is damage; a hole in the rest is what a process leaves that is killed while it writes.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from ..journal.port import Message

MARK = b"\xffFS\xfe"
"""Not UTF-8, as all that we append is: no record can contain a frame and pass for one behind a damaged place."""

_HEADER = struct.Struct("<4sI")
_FIELDS = struct.Struct("<IIQ")
OVERHEAD = _HEADER.size + _FIELDS.size
CHUNK = 2**20

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[Message]] = msgspec.msgpack.Decoder(list[Message])


class Frame(NamedTuple):
    """A frame as it was read: from `start` to `end` of its segment."""

    start: int
    end: int
    durable: int
    written: int
    messages: list[Message]


def payload(messages: Sequence[Message]) -> bytes:
    return _encoder.encode(messages)


def frame(payload: bytes, durable: int, written: int) -> bytes:
    """The bytes of one frame."""
    fields = _FIELDS.pack(len(payload), durable, written)
    return b"".join((_HEADER.pack(MARK, zlib.crc32(payload, zlib.crc32(fields))), fields, payload))


def read(file: int, position: int, end: int) -> Frame | None:
    """The first whole frame that begins at `position` or behind it, and ends by `end`."""
    for start in _starts(file, position, end):
        if found := _frame_at(file, start, end):
            return found
    return None


def _frame_at(file: int, start: int, end: int) -> Frame | None:
    head = _bytes(file, OVERHEAD, start)
    if len(head) < OVERHEAD:
        return None
    mark, checksum = _HEADER.unpack_from(head)
    length, durable, written = _FIELDS.unpack_from(head, _HEADER.size)
    if mark != MARK or start + OVERHEAD + length > end:
        return None
    body = _bytes(file, length, start + OVERHEAD)
    if len(body) < length or zlib.crc32(body, zlib.crc32(head[_HEADER.size :])) != checksum:
        return None
    try:
        return Frame(start, start + OVERHEAD + length, durable, written, _decoder.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _starts(file: int, position: int, end: int) -> Iterator[int]:
    """Where frames may begin: here, and then wherever the mark stands."""
    yield position
    position += 1
    while position < end:
        chunk = _bytes(file, min(CHUNK + len(MARK) - 1, end - position), position)
        found = chunk.find(MARK)
        while found >= 0:
            yield position + found
            found = chunk.find(MARK, found + 1)
        position += CHUNK


def _bytes(file: int, size: int, position: int) -> bytes:
    try:
        return os.pread(file, size, position)
    except OSError as exc:
        if exc.errno != errno.EIO:
            raise
        return bytes(size)  # a sector that can't be read is a hole like any other
