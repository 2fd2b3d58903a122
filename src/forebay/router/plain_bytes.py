"""Headers that are not UTF-8 go out as they came in.

aiohttp keeps such bytes when it reads a header and leaves them out when it writes one.  Clients in
a browser send Latin-1.  So in a router's process it writes those heads by the function below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import http_writer

Serialise = Callable[[str, Any], bytes]

_native: Final[Serialise] = http_writer._serialize_headers


def use() -> None:
    """From now on, in this process."""
    http_writer._serialize_headers = _serialise


def _serialise(status_line: str, headers: Any) -> bytes:
    if status_line.isascii() and all(map(str.isascii, headers.values())):
        return _native(status_line, headers)
    lines = [status_line, *(f"{name}: {value}" for name, value in headers.items())]
    if any(mark in line for line in lines for mark in "\r\n\0"):
        raise ValueError("a header with a line's end in it")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
