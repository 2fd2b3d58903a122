"""Looking into compressed copies: as much as was asked for, and never more than that in memory."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

import brotli

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

from ..agent.http_request import Unreadable


def decoded(encodings: str, body: bytes, limit: int) -> tuple[bytes, bool]:
    """At most `limit` bytes of what `body` is once decoded, and whether that is all of it.

    `encodings` is the Content-Encoding.  Raises Unreadable for one that is not known here, and for
    bytes that are not what they are said to be; of a body that is cut off, what is there is decoded.
    """
    whole = True
    for encoding in reversed([part.strip().lower() for part in encodings.split(",")]):
        if encoding in ("", "identity"):
            continue
        decode = _DECODERS.get(encoding)
        if decode is None:
            raise Unreadable(f"no decoder for {encoding[:20]}")
        try:
            body, ended = decode(body, limit)
        except Exception as exc:  # each library's own errors
            raise Unreadable(f"not {encoding} ({type(exc).__name__})") from None
        whole = whole and ended
    return body, whole


def _gzip(body: bytes, limit: int) -> tuple[bytes, bool]:
    plain = b""
    while body and len(plain) < limit:  # a gzip file may have several members
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(body, limit - len(plain))
        if not member.eof:
            return plain, False
        body = member.unused_data.lstrip(b"\0")
    return plain, not body


def _deflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    # Said to be zlib's format; some senders leave its two bytes of head out.
    wbits = 15 if body[:1] and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0 else -15
    stream = zlib.decompressobj(wbits=wbits)
    return stream.decompress(body, limit), stream.eof


def _brotli(body: bytes, limit: int) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    plain = stream.process(body, output_buffer_limit=limit)
    return plain[:limit], stream.is_finished() and len(plain) <= limit


def _zstd(body: bytes, limit: int) -> tuple[bytes, bool]:
    stream = ZstdDecompressor()
    plain = stream.decompress(body, limit)
    return plain, stream.eof and not stream.unused_data


_DECODERS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
