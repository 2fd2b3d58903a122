"""Which requests are looked at: those to GraphQL's paths.  All others pass unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .copies import Budget
from .exchange import Exchange
from .faults import note
from .recording import Recording


class Watch:
    """`look` is in bytes of each body; `budget` bounds all copies together."""

    def __init__(self, recording: Recording, paths: Iterable[str], look: int, budget: Budget) -> None:
        self.recording, self.look = recording, look
        self._paths, self.budget = frozenset(path.rstrip("/") for path in paths), budget

    def begin(self, method: str, target: str, headers: Mapping[str, str]) -> Exchange | None:
        """Look at a request and its answer; None if it is none of GraphQL's.  Never raises."""
        try:
            return self._begin(method, target, headers)
        except Exception as exc:
            note("watch", exc)
            return None

    def _begin(self, method: str, target: str, headers: Mapping[str, str]) -> Exchange | None:
        path, _, query = target.partition("?")
        if path.rstrip("/") not in self._paths:
            return None
        exchange = Exchange(self.recording, self.budget, self.look)
        exchange.begin(method, query, headers)
        return exchange
