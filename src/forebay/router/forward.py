"""Which headers go on, and which are the router's own.

All go on as they are, in order and spelling, except: those of one hop (RFC 9110, 7.6.1: Connection
and what it names, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade), Expect,
which is answered here, and Content-Length where Transfer-Encoding overrules it.  To requests are
added X-Forwarded-For (the client's address after those that are there), and, where they are not
there, X-Forwarded-Proto and X-Forwarded-Host; Host becomes the upstream's.  No Via: servers that
see one may answer differently, uncompressed for instance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from multidict import CIMultiDict

ONE_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect")
)

Raw = Sequence[tuple[bytes, bytes]]
"""Names and values as they came."""


def for_upstream(raw: Raw, client: str | None, scheme: str, host: str) -> CIMultiDict[str]:
    """Of a request; `host` replaces the client's unless it is empty."""
    kept = end_to_end(raw)
    forwarded = [*kept.popall("X-Forwarded-For", []), *([client] if client else [])]
    if forwarded:
        kept["X-Forwarded-For"] = ", ".join(forwarded)
    kept.setdefault("X-Forwarded-Proto", scheme)
    if (asked := kept.get("Host")) is not None:
        kept.setdefault("X-Forwarded-Host", asked)
    if host:
        kept["Host"] = host
    return kept


def end_to_end(raw: Raw) -> CIMultiDict[str]:
    """Without what concerns one hop alone."""
    names = [name.lower() for name, _ in raw]
    dropped = ONE_HOP
    if b"connection" in names:
        named = b",".join(value for lower, (_, value) in zip(names, raw, strict=True) if lower == b"connection")
        dropped |= {each.strip().lower() for each in named.split(b",")}
    if b"transfer-encoding" in names:
        dropped |= {b"content-length"}
    return CIMultiDict(
        [
            (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
            for lower, (name, value) in zip(names, raw, strict=True)
            if lower not in dropped
        ]
    )


def upgrading(headers: Mapping[str, str]) -> bool:
    """Does a request ask for a WebSocket?"""
    return headers.get("Upgrade", "").lower() == "websocket"
