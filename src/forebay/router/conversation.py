"""Operations over a WebSocket, by either of the two protocols: `graphql-transport-ws` and the older `graphql-ws`.

An operation is counted when it completes or fails, with its duration; one that goes on for some
seconds (a subscription) is counted then, without.  Its status is 200.  Who asks is what the
handshake's headers say, or else the parameters of `connection_init`.
Sources: enisdenjo/graphql-ws PROTOCOL.md; apollographql/subscriptions-transport-ws PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ..agent.client_headers import Client, client_of
from ..agent.http_answer import Outcome, outcome_of_errors, outcome_of_part
from ..agent.http_request import Asked, in_mapping
from .exchange import STREAM_AFTER
from .faults import quietly
from .recording import Recording

PROTOCOLS: Final = ("graphql-transport-ws", "graphql-ws")

OPEN: Final = 1_000
"""Operations of one connection that are followed at a time; beyond it the oldest is counted at once."""


class _Message(msgspec.Struct):
    type: str = ""
    id: Any = None
    payload: Any = None


class _Open(NamedTuple):
    asked: Asked
    began: float
    timer: asyncio.TimerHandle
    weight: int


_MESSAGE = msgspec.json.Decoder(_Message)


class Conversation:
    """`from_client` and `from_server` as messages pass; `end` when the connection is over."""

    def __init__(self, recording: Recording, headers: Mapping[str, str]) -> None:
        self._recording = recording
        self._client: Client = client_of(headers.get)
        self._open: dict[str, _Open] = {}
        self._failed: dict[str, Outcome] = {}
        self._loop = asyncio.get_running_loop()

    @quietly
    def from_client(self, text: bytes | None) -> None:
        if text is None:
            self._recording.count_unread("too_large", [], self._client, 200, None)
            return
        message = _read(text)
        if message is None:
            return
        match message.type:
            case "connection_init":
                if not self._client[0]:
                    self._client = _named_in(message.payload)
            case "subscribe" | "start":
                self._begin(str(message.id), in_mapping(message.payload), len(text))
            case "complete" | "stop":
                self._settle(str(message.id), None)

    @quietly
    def from_server(self, text: bytes | None) -> None:
        if not self._open or text is None:
            return
        message = _read(text)
        if message is None or (identifier := str(message.id)) not in self._open:
            return
        match message.type:
            case "next" | "data":
                if isinstance(message.payload, dict) and message.payload.get("errors"):
                    failed = self._failed.get(identifier, Outcome())
                    self._failed[identifier] = failed.plus(outcome_of_part(message.payload))
            case "error":
                errors = message.payload if isinstance(message.payload, list) else [message.payload]
                self._settle(identifier, self._seconds(identifier), outcome_of_errors(errors))
            case "complete":
                self._settle(identifier, self._seconds(identifier))

    @quietly
    def end(self) -> None:
        for identifier in list(self._open):
            self._settle(identifier, None)

    def _begin(self, identifier: str, asked: Asked, weight: int) -> None:
        self._settle(identifier, None)
        if len(self._open) >= OPEN:
            self._settle(next(iter(self._open)), None)
        timer = self._loop.call_later(STREAM_AFTER, self._overdue, identifier)
        self._open[identifier] = _Open(asked, self._loop.time(), timer, weight)

    @quietly
    def _overdue(self, identifier: str) -> None:
        self._settle(identifier, None)

    def _settle(self, identifier: str, seconds: float | None, outcome: Outcome | None = None) -> None:
        """Count an operation, unless it was counted before."""
        operation = self._open.pop(identifier, None)
        if operation is None:
            return
        operation.timer.cancel()
        failed = self._failed.pop(identifier, Outcome())
        self._recording.count(
            [operation.asked], [failed.plus(outcome or Outcome())], self._client, 200, seconds, operation.weight
        )

    def _seconds(self, identifier: str) -> float:
        return self._loop.time() - self._open[identifier].began


def _read(text: bytes) -> _Message | None:
    try:
        return _MESSAGE.decode(text)
    except (ValueError, RecursionError):
        return None


def _named_in(payload: object) -> Client:
    """The client that the parameters of a connection name: by the headers' names, or as `client: {name, version}`."""
    if not isinstance(payload, dict):
        return "", ""
    headers = payload.get("headers")
    for named in (payload, headers if isinstance(headers, dict) else {}):
        lower = {str(name).lower(): value for name, value in named.items() if isinstance(value, str)}
        if (client := client_of(lower.get))[0]:
            return client
    told = payload.get("client")
    if isinstance(told, dict) and isinstance(name := told.get("name"), str):
        version = told.get("version")
        return name, version if isinstance(version, str) else ""
    return "", ""
