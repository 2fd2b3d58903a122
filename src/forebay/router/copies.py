"""Bounded copies of what passes: the beginning of a body, and the end of one that is longer.

All copies together are bounded too.  A copy that may not grow says so (`whole` is false) and keeps
nothing more; what passes is never held up by it.
"""

from __future__ import annotations

from typing import Final

TAIL: Final = 2**16
"""Bytes kept of the end of a body that is longer than its bound."""


class Budget:
    """Bytes that all copies may take together; used by one thread."""

    def __init__(self, limit: int) -> None:
        self.left = limit


class Copy:
    """What was added, up to `limit` bytes and as far as the budget goes."""

    def __init__(self, limit: int, budget: Budget, keep_tail: bool = False) -> None:
        self._limit, self._budget, self._keep_tail = limit, budget, keep_tail
        self._chunks: list[bytes] = []
        self._tail = b""
        self.size = 0
        self.whole = True

    def add(self, chunk: bytes) -> None:
        size = len(chunk)
        if self.whole and self.size + size <= self._limit and size <= self._budget.left:
            self._chunks.append(chunk)
            self.size += size
            self._budget.left -= size
            return
        if self.whole:
            self.whole = False
            fits = max(min(self._limit - self.size, self._budget.left), 0)
            self._chunks.append(chunk[:fits])
            self.size += fits
            self._budget.left -= fits
            if self._budget.left >= TAIL:
                self._budget.left -= TAIL
                self.size += TAIL
            else:
                self._keep_tail = False
        if self._keep_tail:
            self._tail = (self._tail + chunk[-TAIL:])[-TAIL:]

    def head(self) -> bytes:
        """The beginning; all of it if `whole`."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def tail(self) -> bytes | None:
        """The end, of a body that was longer than its bound; None if the copy is whole."""
        return None if self.whole else (self.head() + self._tail)[-TAIL:] if self._keep_tail else b""

    def drop(self) -> None:
        """Give back what it took."""
        self._budget.left += self.size
        self._chunks, self._tail, self.size, self._limit, self.whole = [], b"", 0, 0, False
        self._keep_tail = False
