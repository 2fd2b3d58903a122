"""What may come in: bodies within the limits, decompressed without trusting their claims.

Memory is bounded twice: by the limits on one body, and by a budget that all bodies under way
share.  What exceeds a limit is refused for good, what exceeds the budget is asked to come later.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ..errors import RejectRecord, RetryLater

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdDecompressor, ZstdError

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one report, and on all that are being taken in at a time."""

    compressed_bytes: int = 16 * MIB
    plain_bytes: int = 64 * MIB
    entries: int = 50_000  # tallies; what shapes hold is bounded by the bytes
    budget_bytes: int = 512 * MIB


class Admission:
    """Reads bodies under one budget.  Used from one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._in_use = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the budget; RetryLater when it is used up."""
        if self._in_use and self._in_use + size > self.limits.budget_bytes:
            raise RetryLater("too many reports are being taken in at once", retry_after=2)
        self._in_use += size
        try:
            yield
        finally:
            self._in_use -= size

    async def read(self, chunks: AsyncIterator[bytes], declared: int | None) -> bytes:
        """The body as sent, at most `compressed_bytes` long; RejectRecord `too_large` otherwise."""
        limit = self.limits.compressed_bytes
        if declared is not None and declared > limit:
            raise _too_large("the body", limit)
        parts, size = [], 0
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise _too_large("the body", limit)
            parts.append(chunk)
        return b"".join(parts)

    def decompress(self, body: bytes, encoding: str) -> bytes:
        """The plain body; RejectRecord `encoding`, `malformed` or `too_large`."""
        limit = self.limits.plain_bytes
        try:
            match encoding.strip().lower():
                case "" | "identity":
                    plain = body
                case "gzip":
                    plain = _unpack(body, limit, lambda: zlib.decompressobj(wbits=31))
                case "zstd":
                    plain = _unpack(body, limit, ZstdDecompressor)
                case _:
                    raise RejectRecord("encoding", "send Content-Encoding zstd, gzip or none")
        except (zlib.error, ZstdError, EOFError) as exc:
            raise RejectRecord("malformed", f"the body is not valid {encoding}: {exc}") from exc
        if len(plain) > limit:
            raise _too_large("the decompressed body", limit)
        return plain


class _Decompressor(Protocol):
    """What zlib's and zstd's objects have in common: one member of a body, decompressed as far as asked."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _unpack(body: bytes, limit: int, member: Callable[[], _Decompressor]) -> bytes:
    """The members of the body one after the other, up to just above the limit; EOFError if one is cut off."""
    parts, size = [], 0
    while body and size <= limit:
        stream = member()
        parts.append(stream.decompress(body, limit + 1 - size))
        size += len(parts[-1])
        if not stream.eof and size <= limit:
            raise EOFError("it ends too early")
        body = stream.unused_data
    return b"".join(parts)


def _too_large(what: str, limit: int) -> RejectRecord:
    return RejectRecord("too_large", f"{what} is larger than {limit // MIB} MiB: send smaller reports")
