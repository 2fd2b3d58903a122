"""A WebSocket that was accepted: bytes pass in both directions as they are, and are read along with.

Neither side is read faster than the other takes it.  When one side is gone, what it sent is
passed on, and the other is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from aiohttp import ClientResponse, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import StreamWriter
from aiohttp.web_protocol import RequestHandler

from .. import metrics
from .conversation import PROTOCOLS, Conversation
from .copies import Budget
from .faults import note
from .forward import end_to_end
from .frames import Frames
from .recording import Recording

Look = Callable[[bytes], None]


async def tunnel(
    request: web.BaseRequest, accepted: ClientResponse, recording: Recording, limit: int, budget: Budget
) -> web.StreamResponse:
    """Let an accepted WebSocket through until it ends.  `accepted` is the upstream's 101."""
    assert accepted.connection is not None
    upstream = accepted.connection.protocol
    assert upstream is not None
    headers = end_to_end(accepted.raw_headers)
    headers.update({"Upgrade": accepted.headers.get("Upgrade", "websocket"), "Connection": "Upgrade"})
    response = web.StreamResponse(status=101, reason=accepted.reason, headers=headers)
    response.force_close()
    protocol = accepted.headers.get("Sec-WebSocket-Protocol", "")
    metrics.ROUTER_WEBSOCKETS.labels(protocol if protocol in PROTOCOLS else "other").inc()
    conversation = Conversation(recording, request.headers) if protocol in PROTOCOLS else None
    ended = asyncio.Event()
    compression = "permessage-deflate" in accepted.headers.get("Sec-WebSocket-Extensions", "")
    sides: list[Frames] = []
    looks: tuple[Look, Look] = (_nothing, _nothing)
    if conversation is not None:
        takers = (conversation.from_client, conversation.from_server)
        sides = [Frames(take, limit, budget, compression) for take in takers]
        # What is asked once the client can't be read any more can't be counted; that something is missing can be told.
        blind = partial(recording.count_unread, "frames", [], ("", ""), 200, None)
        looks = _until_it_fails(sides[0].feed, blind), _until_it_fails(sides[1].feed, conversation.end)
    try:
        await response.prepare(request)
        _join(upstream, request.protocol, looks[1], ended)
        _join(request.protocol, upstream, looks[0], ended)
        await ended.wait()
    finally:
        if conversation is not None:
            conversation.end()
        for side in sides:
            side.drop()
        accepted.close()
        if request.transport is not None:
            request.transport.close()  # once what is written has gone out
    return response


class _Pipe:
    """What one side received goes to the other.  It stands where aiohttp's own reader of WebSockets would."""

    def __init__(self, side: BaseProtocol, other: BaseProtocol, look: Look, ended: asyncio.Event) -> None:
        self._side, self._other, self._look, self._ended = side, other, look, ended
        self._writer = StreamWriter(other, asyncio.get_running_loop())
        self._waiting: asyncio.Task[None] | None = None

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        transport = self._other.transport
        if transport is None or transport.is_closing():
            self._ended.set()
            return False, b""
        transport.write(data)
        if self._other.writing_paused and self._waiting is None:
            self._side.pause_reading()
            self._waiting = asyncio.get_running_loop().create_task(self._wait())
        self._look(data)
        return False, b""

    def feed_eof(self) -> None:
        self._ended.set()

    async def _wait(self) -> None:
        try:
            await self._writer.drain()
        except ConnectionError:
            self._ended.set()
        else:
            self._waiting = None
            self._side.resume_reading()


def _join(side: BaseProtocol, other: BaseProtocol, look: Look, ended: asyncio.Event) -> None:
    pipe = _Pipe(side, other, look, ended)
    if isinstance(side, RequestHandler):
        side.set_parser(pipe)  # type: ignore[arg-type]
    else:
        side.set_parser(pipe, pipe)  # type: ignore[attr-defined]


def _until_it_fails(feed: Look, failed: Callable[[], None]) -> Look:
    blind = False

    def look(data: bytes) -> None:
        nonlocal blind
        if blind:
            return
        try:
            feed(data)
        except Exception as exc:
            blind = True
            note("frames", exc)
            try:
                failed()
            except Exception as again:
                note("frames", again)

    return look


def _nothing(_: bytes) -> None:
    pass
