"""What a check lets pass: small numbers, some clients and operations, and what was marked as safe.  Pure.

Whatever is let pass is counted and said, and never hides what is not: clients and operations that
are left out are left out alone, and a window that is not complete stays so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .marks import Mark
from .mistakes import BadQuestion
from .place_changes import Change
from .rules import Effect
from .seen import Seen

Affected = list[tuple[Seen, Effect]]


@dataclass(frozen=True, slots=True)
class Allowances:
    """A change affects somebody only from `min_requests` of the window on that are also `min_percent` of all.

    `clients`: names, or `name@version`; `operations`: names or ids; `marks`: by change and operation.
    """

    min_requests: int = 1
    min_percent: float = 0.0
    clients: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    marks: Mapping[tuple[str, str], Mark] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.min_requests < 1 or not 0 <= self.min_percent <= 100:
            raise BadQuestion("a threshold is a number of requests from 1, or a percentage from 0 to 100")
        if "" in self.clients | self.operations:
            raise BadQuestion("a client or operation is left out by its name: the empty one stands for many")

    def counted(self, seen: Seen) -> Seen | None:
        """The traffic without what is left out of the whole check; None if nothing is left."""
        if {seen.shape.name, seen.shape.operation} & self.operations:
            return None
        if not self.clients:
            return seen
        clients = {
            (name, version): requests
            for (name, version), requests in seen.clients.items()
            if not {name, f"{name}@{version}"} & self.clients
        }
        return replace(seen, clients=clients) if clients else None

    def passing(
        self, change: Change, affected: Affected, requests: int, besides: int = 0
    ) -> tuple[Affected, tuple[str, ...]]:
        """What of the affected traffic counts, and why the rest does not; `requests` are all of the window, and
        `besides` those that the same may have broken elsewhere."""
        left: Affected = []
        why: dict[str, None] = {}
        id_ = change.id()
        for seen, effect in affected:
            mark = self.marks.get((id_, seen.shape.operation))
            if mark is None:
                left.append((seen, effect))
            else:
                why[f"marked as safe for {seen.named()} by {mark.author}: {mark.reason}"] = None
        number = besides + sum(seen.requests() for seen, _ in left)
        if left and (number < self.min_requests or 100 * number < self.min_percent * requests):
            why[f"{number:,} of {requests:,} requests are below the threshold"] = None
            left = []
        return left, tuple(why)
