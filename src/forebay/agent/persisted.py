"""Persisted documents by their names: those that are given, and those that clients register with their hash.

Bounded: what was not asked for in two generations is forgotten.  A document is believed to have a
hash only if it has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from .http_request import Asked

LIMIT: Final = 16 * 2**20


class Documents:
    """`limit`: characters of what clients register.

    Usable from any thread, without a lock: one could be held while the process forks.
    """

    def __init__(self, given: Mapping[str, str] | None = None, limit: int = LIMIT) -> None:
        self._given = {name.removeprefix("sha256:"): source for name, source in (given or {}).items()}
        self._generation = limit // 2
        self._learned: dict[str, str] = {}
        self._older = self._learned
        self._size = 0

    def __len__(self) -> int:
        return len(self._given) + len(self._older.keys() | self._learned.keys())

    def source(self, asked: Asked) -> str | None:
        """The document of a request; None where it is not known."""
        if not asked.document:
            return asked.source
        known = self._learned.get(asked.document)
        if known is None:
            known = asked.source or self._older.get(asked.document)
            if known and hashlib.sha256(known.encode(errors="replace")).hexdigest() == asked.document:
                self._learn(asked.document, known)
        return asked.source or known or self._given.get(asked.document)

    def _learn(self, digest: str, source: str) -> None:
        self._size += len(source)
        if self._size > self._generation:
            self._older, self._learned, self._size = self._learned, {}, len(source)
        self._learned[digest] = source
