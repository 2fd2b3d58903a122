"""Traffic as the judge of changes sees it: a shape, and who requested it how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..core.shape import Shape


@dataclass(frozen=True, slots=True)
class Seen:
    """A shape with its traffic by client and version."""

    id: str
    shape: Shape
    clients: dict[tuple[str, str], int]
    last_seen: datetime | None = None

    def requests(self) -> int:
        return sum(self.clients.values())

    def named(self) -> str:
        """The operation, as people call it."""
        return self.shape.name or f"operation {self.shape.operation}"
