"""GraphQL over WebSocket, as a bystander reads it: graphql-transport-ws, and its elder graphql-ws.

An operation counts when the first word about it comes back, which tells whether it was refused; what
was never answered counts when the connection ends.  None has a duration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..http_request import Asked, in_mapping
from ..places import Errors, errors_at

if TYPE_CHECKING:
    from .exchange import Watch

WAITING: Final = 1_000
"""Operations of one connection that wait for their first word; beyond, one counts as it comes."""


class Conversation:
    """One connection, by its ASGI messages; `asking` is its scope."""

    def __init__(self, watch: Watch, asking: Any) -> None:
        self._watch, self._asking = watch, asking
        self._waiting: dict[str, Asked] = {}

    def received(self, message: Mapping[str, Any]) -> None:
        """A message of the client's."""
        word = _word(message)
        if word.get("type") in ("subscribe", "start"):
            asked = in_mapping(word.get("payload"))
            if len(self._waiting) < WAITING:
                self._waiting[str(word.get("id"))] = asked
            else:
                self._count(asked, errors=False)

    def sent(self, message: Mapping[str, Any]) -> None:
        """A message of the server's."""
        if not self._waiting:
            return
        word = _word(message)
        asked = self._waiting.pop(str(word.get("id")), None)
        if asked is not None:
            payload = word.get("payload")
            result = payload if isinstance(payload, Mapping) else {}
            at = errors_at(payload if isinstance(payload, list) else result.get("errors"))
            failed = word.get("type") == "error" or bool(result.get("errors"))
            self._count(asked, at or failed, executed=result.get("data") is not None)

    def fails(self) -> None:
        """The app raised; what waits was not answered."""

    def end(self) -> None:
        """The connection has ended."""
        while self._waiting:
            self._count(self._waiting.popitem()[1], errors=False)

    def _count(self, asked: Asked, errors: bool | Errors, executed: bool = False) -> None:
        source = self._watch.documents.source(asked)
        outcome = {"errors": errors, "executed": executed, "seconds": None}
        self._watch.tally(source, asked, self._asking, **outcome)


def _word(message: Mapping[str, Any]) -> Mapping[str, Any]:
    text = message.get("text") or message.get("bytes")
    try:
        word = json.loads(text) if text else None
    except (ValueError, RecursionError):
        word = None
    return word if isinstance(word, Mapping) else {}
