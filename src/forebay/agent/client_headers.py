"""Who asks, as the headers say by the names in use.  Pure.

Apollo's clients send `apollographql-client-…`, Hive's and Cosmo's `graphql-client-…`; some put an
`x-` before it.  The first pair whose name is there counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

Client = tuple[str, str]
"""(name, version); "" where unknown."""

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them, names in lower case."""

NAMES: Final = (
    ("graphql-client-name", "graphql-client-version"),
    ("apollographql-client-name", "apollographql-client-version"),
    ("x-graphql-client-name", "x-graphql-client-version"),
)
_NAMES_IN_BYTES: Final = tuple((name.encode(), version.encode()) for name, version in NAMES)


def client_of(header: Callable[[str], str | None]) -> Client:
    """The client, given what looks a header up by its lower-case name."""
    for name, version in NAMES:
        if client := header(name):
            return client, header(version) or ""
    return "", ""


def client_in(headers: Headers) -> Client:
    """Likewise, of headers as ASGI has them."""
    told = dict(headers)
    for name, version in _NAMES_IN_BYTES:
        if client := told.get(name):
            return client.decode("latin-1"), told.get(version, b"").decode("latin-1")
    return "", ""
