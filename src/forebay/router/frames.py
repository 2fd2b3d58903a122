"""Reads along with one direction of a WebSocket: its messages, fragmented and compressed ones too.

It only looks: bytes pass whatever is found here.  What cannot be read raises ValueError, and then
nothing more can be read of this direction.
Source: RFC 6455, 5.2; RFC 7692, 7.2 (permessage-deflate).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

from .copies import Budget

Message = Callable[[bytes | None], None]
"""Called with each message, text or not; with None for one that is longer than what is looked at."""

_CONTROL, _FIN, _COMPRESSED, _RESERVED = 0x08, 0x80, 0x40, 0x30
_PIECE = 2**16


class _Head(NamedTuple):
    first: int
    mask: bytes
    length: int
    end: int  # where the payload begins


class Frames:
    """`feed` in any pieces; `message` is called for each message that is complete; `drop` in the end.

    At most `limit` bytes of a message are kept, and what the budget of all copies has left.
    """

    def __init__(self, message: Message, limit: int, budget: Budget, compression: bool) -> None:
        self._message, self._limit, self._budget, self._compression = message, limit, budget, compression
        self._waiting = b""  # the beginning of a frame's head
        self._head: _Head | None = None
        self._passed = 0  # bytes of the frame's payload
        self._text = bytearray()
        self._too_long = self._compressed = False
        self._inflating = zlib.decompressobj(wbits=-15) if compression else None

    def drop(self) -> None:
        """Forget the message that has begun."""
        self._budget.left += len(self._text)
        self._text.clear()

    def feed(self, data: bytes) -> None:
        data, at = self._waiting + data, 0
        while True:
            if self._head is None:
                self._head = _head(data, at)
                if self._head is None:
                    break
                self._begin(self._head)
                at = self._head.end
            piece = data[at : at + self._head.length - self._passed]
            at += len(piece)
            self._take(self._head, piece)
            if self._passed < self._head.length:
                break
            done, self._head = self._head, None
            if done.first & _FIN and not done.first & _CONTROL:
                self._finish()
        self._waiting = data[at:]

    def _begin(self, head: _Head) -> None:
        self._passed = 0
        if head.first & _RESERVED or (head.first & _COMPRESSED and not self._compression):
            raise ValueError("an extension that was not negotiated")
        if head.first & 0x0F in (1, 2):
            self._compressed = bool(head.first & _COMPRESSED)

    def _take(self, head: _Head, piece: bytes) -> None:
        offset = self._passed
        self._passed += len(piece)
        if head.first & _CONTROL or not piece:
            return
        plain = _unmasked(piece, head.mask, offset) if head.mask else piece
        if self._compressed:
            self._inflate(plain)
        else:
            self._keep(plain)

    def _finish(self) -> None:
        if self._compressed:
            self._inflate(b"\x00\x00\xff\xff")
        text, too_long = bytes(self._text), self._too_long
        self.drop()
        self._too_long = False
        self._message(None if too_long else text)

    def _inflate(self, piece: bytes) -> None:
        """All of it, since later messages may refer to it, but in bounded pieces."""
        if self._inflating is None or self._inflating.eof:  # whoever compresses may end its stream at any message
            self._inflating = zlib.decompressobj(wbits=-15)
        try:
            while piece:
                self._keep(self._inflating.decompress(piece, _PIECE))
                piece = self._inflating.unconsumed_tail
        except zlib.error as exc:
            raise ValueError(str(exc)) from None

    def _keep(self, piece: bytes) -> None:
        if len(self._text) + len(piece) > self._limit or len(piece) > self._budget.left:
            self._too_long = True
            self.drop()
        if not self._too_long:
            self._text += piece
            self._budget.left -= len(piece)


def _head(data: bytes, at: int) -> _Head | None:
    """The head of the frame that begins there; None if it is not all there."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    length, end = second & 0x7F, at + 2
    if length > 125:
        size = 2 if length == 126 else 8
        length, end = int.from_bytes(data[end : end + size]), end + size
    mask = b""
    if second & 0x80:
        mask, end = data[end : end + 4], end + 4
    return None if len(data) < end else _Head(first, mask, length, end)


def _unmasked(piece: bytes, mask: bytes, offset: int) -> bytes:
    size, turn = len(piece), offset % 4
    key = ((mask[turn:] + mask[:turn]) * (size // 4 + 1))[:size]
    return (int.from_bytes(piece) ^ int.from_bytes(key)).to_bytes(size)
