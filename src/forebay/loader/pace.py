"""When a batch is worth an insert: by size, or by the age of its oldest record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """`batch_bytes`: JSON bytes of records that fill a batch; `linger`: seconds that a record may wait."""

    batch_bytes: int = 8 * 2**20
    linger: float = 0.5

    def ripe(self, size: int, age: float) -> bool:
        """Is this buffer worth an insert now?"""
        return size >= self.batch_bytes or age >= self.linger

    def full(self, size: int) -> bool:
        """Should no more be gathered for now?"""
        return size >= self.batch_bytes

    def wait(self, busy: bool) -> float:
        """How long a poll may wait for news, in seconds."""
        return self.linger / 4 if busy else 0.5
