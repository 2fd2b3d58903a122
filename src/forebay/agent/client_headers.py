"""Who asks, as the headers say by the names in use.  Pure.

Apollo's clients send `apollographql-client-…`, Hive's and Cosmo's `graphql-client-…`; some put an
`x-` before it.  The first pair whose name is there counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Client = tuple[str, str]
"""(name, version); "" where unknown."""

NAMES: Final = (
    ("graphql-client-name", "graphql-client-version"),
    ("apollographql-client-name", "apollographql-client-version"),
    ("x-graphql-client-name", "x-graphql-client-version"),
)


def client_of(header: Callable[[str], str | None]) -> Client:
    """The client, given what looks a header up by its lower-case name."""
    for name, version in NAMES:
        if client := header(name):
            return client, header(version) or ""
    return "", ""
