"""A link between two processes on which answers get lost: what was asked is done, and nobody is told.

A link listens on one port and forwards to another.  On Kafka's links the requests are known by
their kind, so that a lost answer is that to an append or to a commit, and not to some heartbeat.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from .pipeline import free_port

PRODUCE, OFFSET_COMMIT = 0, 8
"""Kafka's numbers for its requests (https://kafka.apache.org/protocol#protocol_api_keys)."""


@dataclass(slots=True)
class Link:
    """`kafka`: which requests' answers can get lost; None for HTTP, where any can."""

    target: int
    kafka: int | None = None
    port: int = field(default_factory=free_port)
    lost: int = 0  # answers, so far
    _losing: int = 0
    _held: bool = False

    def lose(self, answers: int) -> None:
        """The next so many answers are not delivered; the connection is cut instead."""
        self._losing = answers

    def hold(self) -> None:
        """Nothing gets through, in either direction, and nobody is told."""
        self._held = True

    def release(self) -> None:
        self._held, self._losing = False, 0

    def open(self) -> Link:
        asyncio.run_coroutine_threadsafe(self._listen(), _loop()).result()
        return self

    async def _listen(self) -> None:
        await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._through()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        doomed: set[bytes] = set()  # correlation ids of the requests whose answers can get lost
        ways = (self._requests(reader, far_writer, doomed), self._answers(far_reader, writer, doomed))
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in (writer, far_writer):
            end.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _requests(self, near: asyncio.StreamReader, far: asyncio.StreamWriter, doomed: set[bytes]) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await self._next(near):
                await self._through()
                if self.kafka is not None and int.from_bytes(data[4:6], "big") == self.kafka:
                    doomed.add(data[8:12])
                far.write(data)
                await far.drain()

    async def _answers(self, far: asyncio.StreamReader, near: asyncio.StreamWriter, doomed: set[bytes]) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await self._next(far):
                await self._through()
                if self._losing and (self.kafka is None or data[4:8] in doomed):
                    self._losing -= 1
                    self.lost += 1
                    return
                doomed.discard(data[4:8])
                near.write(data)
                await near.drain()

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        """A frame of Kafka's, or whatever has come."""
        if self.kafka is None:
            return await reader.read(2**16)
        size = await reader.readexactly(4)
        return size + await reader.readexactly(int.from_bytes(size, "big"))

    async def _through(self) -> None:
        while self._held:
            await asyncio.sleep(0.01)


def _loop() -> asyncio.AbstractEventLoop:
    """One loop, in a thread of its own, for all links."""
    global _running
    if _running is None:
        _running = asyncio.new_event_loop()
        threading.Thread(target=_running.run_forever, name="links", daemon=True).start()
    return _running


_running: asyncio.AbstractEventLoop | None = None
