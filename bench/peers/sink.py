"""A collector of any of the protocols, as far as its clients can tell: it acknowledges, goes away and comes back.

It keeps what it took, in order, with that by which a collector can know a report again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fake_collector import decoded
from faults.pipeline import free_port

ANSWERS = {
    "forebay": b'{"accepted":true}',
    "hive": b'{"id":"1","operations":{"accepted":1,"rejected":0}}',
    "apollo": b'{"tracesIgnored":true}',
}
UP, REFUSED, UNAVAILABLE, CUT = "up", "refused", "503", "cut"
"""Refused: nobody listens, and connections are closed.  Cut: it takes what it is sent and hangs up."""


class Taken(NamedTuple):
    """A report that was taken, whether its sender was told or not."""

    identity: str
    body: bytes


@dataclass(slots=True)
class Sink:
    """`protocol` is a key of ANSWERS."""

    protocol: str
    port: int = field(default_factory=free_port)
    taken: list[Taken] = field(default_factory=list)
    attempts: int = 0
    _state: str = UP
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> Sink:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=2**26)
        return self

    async def close(self) -> None:
        assert self._server
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def fail(self, how: str, at: float, seconds: float) -> None:
        """In `at` seconds, for so long."""
        await asyncio.sleep(at)
        self._state = how
        if how == REFUSED:
            await self.close()
        await asyncio.sleep(seconds)
        self._state = UP
        if how == REFUSED:
            await self.open()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while self._state != REFUSED and await self._serve(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; false if the connection ends with it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.attempts += 1
        if self._state == UNAVAILABLE:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            return True
        self.taken.append(Taken(_identity(self.protocol, headers, body), body))
        if self._state == CUT:
            return False
        answer = ANSWERS[self.protocol]
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
        writer.write(head.encode() + answer)
        return True


def _identity(protocol: str, headers: Mapping[str, str], body: bytes) -> str:
    """By which a collector can know the report again when it comes a second time."""
    if protocol == "hive":
        return headers["x-client-action-id"]
    if protocol == "forebay":
        push = decoded(body)
        return json.dumps([push.agent, push.sequence])
    return hashlib.sha256(body).hexdigest()
