"""Subscriptions over WebSockets pass untouched, by both protocols, and count once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import aiohttp
import pytest
from router import raw
from router.routed import Routed, routed

from forebay.router import conversation
from forebay.router.conversation import Conversation
from forebay.router.frames import Frames

NEW, OLD = "graphql-transport-ws", "graphql-ws"
WORDS = {NEW: ("subscribe", "next", "complete"), OLD: ("start", "data", "stop")}


@pytest.fixture(scope="module", autouse=True)
def soon() -> Iterator[None]:
    """Operations that go on are counted after so many seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "STREAM_AFTER", 1.5)
        yield


@pytest.fixture
def router(service: int) -> Iterator[Routed]:
    with routed(service, schema=None) as made:
        yield made


def talk(
    port: int,
    protocol: str,
    say: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]],
    compress: int = 0,
    init: object = None,
    **headers: str,
) -> Any:
    """What `say` makes of a conversation that was opened."""

    async def run() -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{port}/graphql"
        async with (
            asyncio.timeout(20),
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=[protocol], compress=compress, headers=sent) as socket,
        ):
            assert socket.protocol == protocol
            await socket.send_json({"type": "connection_init", "payload": init or {}})
            assert (await socket.receive_json())["type"] == "connection_ack"
            return await say(socket)

    return asyncio.run(run())


def asks(protocol: str, query: str, name: str = "1") -> Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]]:
    """Ask, and collect what comes until it is complete or has failed."""

    async def say(socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
        await socket.send_json({"id": name, "type": WORDS[protocol][0], "payload": {"query": query}})
        got: list[Any] = []
        while True:
            message = await socket.receive_json()
            if message["type"] != "ka":
                got.append(message)
            if message["type"] in ("complete", "error"):
                return got

    return say


@pytest.mark.parametrize("compress", [0, 15, 9])
@pytest.mark.parametrize("protocol", [NEW, OLD])
def test_operations_get_what_the_server_says_and_count(
    service: int, router: Routed, protocol: str, compress: int
) -> None:
    for query in (
        "subscription A { ticks }",
        "subscription B { breaks }",
        "query C { hello }",
        "query D { fail }",
        "query E { nothing }",
        "query F($n: String!) { hello(name: $n) }",
    ):
        say = asks(protocol, query)
        assert talk(router.port, protocol, say, compress) == talk(service, protocol, say, compress)
    failing = "BDEF" if protocol == NEW else "BCDEF"  # Strawberry takes only subscriptions by the older one
    assert router.usage() == {("", "", name, name in failing): 1 for name in "ABCDEF"}
    assert router.uncovered() == 0
    assert router.collector.errors() == ({("D", "Query.fail"): 1} if protocol == NEW else {})


def test_who_asks_is_told_by_headers_or_by_the_connections_parameters(router: Routed) -> None:
    say = asks(NEW, "query A { hello }")
    talk(router.port, NEW, say, graphql_client_name="web", graphql_client_version="1")
    talk(router.port, NEW, say, init={"apollographql-client-name": "ios", "apollographql-client-version": "2"})
    talk(router.port, NEW, say, init={"headers": {"GraphQL-Client-Name": "tv"}})
    talk(router.port, NEW, say, init={"client": {"name": "watch", "version": "3"}})
    assert router.usage() == {
        ("web", "1", "A", False): 1,
        ("ios", "2", "A", False): 1,
        ("tv", "", "A", False): 1,
        ("watch", "3", "A", False): 1,
    }


@pytest.mark.parametrize("protocol", [NEW, OLD])
def test_a_subscription_counts_while_it_goes_on_and_has_no_duration(router: Routed, protocol: str) -> None:
    async def say(socket: aiohttp.ClientWebSocketResponse) -> None:
        payload = {"query": "subscription A($to: Int!) { ticks(to: $to) }", "variables": {"to": 100_000}}
        await socket.send_json({"id": "7", "type": WORDS[protocol][0], "payload": payload})
        while not router.reports.status()["recorded"]:
            await socket.receive_json()
        await socket.send_json({"id": "7", "type": WORDS[protocol][2]})

    talk(router.port, protocol, say)
    assert router.usage() == {("", "", "A", False): 1}
    [(_, (_, _, durations))] = router.rows()
    assert not durations


def test_two_operations_of_one_connection_are_told_apart(router: Routed) -> None:
    async def say(socket: aiohttp.ClientWebSocketResponse) -> None:
        for name in ("fail", "hello"):
            payload = {"query": f"query {name.title()} {{ {name} }}"}
            await socket.send_json({"id": name, "type": "subscribe", "payload": payload})
        ended = 0
        while ended < 2:
            ended += (await socket.receive_json())["type"] == "complete"

    talk(router.port, NEW, say)
    assert router.usage() == {("", "", "Fail", True): 1, ("", "", "Hello", False): 1}


def test_how_the_server_closes_is_how_the_client_sees_it(service: int, router: Routed) -> None:
    async def say(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, Any]:
        await socket.send_str("no json")
        message = await socket.receive()
        return socket.close_code, message.extra

    assert talk(router.port, NEW, say) == talk(service, NEW, say)


def test_messages_pass_when_the_looking_is_broken(
    service: int, router: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    say = asks(NEW, "subscription A { ticks }")
    plain = talk(service, NEW, say)
    for place, name in ((Frames, "feed"), (Conversation, "from_client"), (Conversation, "_begin"), (Frames, "_take")):
        monkeypatch.setattr(place, name, fail)
        assert talk(router.port, NEW, say) == plain
        monkeypatch.undo()


HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: odd\r\n\r\n"
)
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: odd\r\n\r\n"
)


def test_bytes_of_any_protocol_pass_both_ways_as_they_are(tmp_path: Path) -> None:
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        head, rest = raw.read_head(connection)
        heads.append(head)
        connection.sendall(ACCEPTED + b"first of all")
        while rest or (rest := connection.recv(65536)):
            connection.sendall(rest[::-1])
            rest = b""

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HANDSHAKE + b"early")
        head, body = raw.read_head(client)
        for piece in (b"first of all", b"ylrae"):
            while len(body) < len(piece):
                body += client.recv(65536)
            assert body.startswith(piece)
            body = body[len(piece) :]
        client.sendall(b"\x00\xff" * 10)
        assert client.recv(65536) == b"\xff\x00" * 10
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 101 Switching Protocols"
    assert {b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Protocol: odd"} <= set(head.split(b"\r\n"))
    assert b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" in heads[0].split(b"\r\n")


def test_a_refused_upgrade_is_the_servers_own_answer(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        raw.read_head(connection)
        connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nno")

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HANDSHAKE)
        head, body = raw.read_head(client)
        assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\nX-A: 1")
        assert body == b"no"


def test_neither_side_of_a_socket_is_read_faster_than_the_other_takes_it(tmp_path: Path) -> None:
    stuck, sent = Event(), [0]

    def serve(connection: socket.socket) -> None:
        raw.read_head(connection)
        connection.sendall(ACCEPTED)
        connection.settimeout(1)
        try:
            while sent[0] < 10**9:
                sent[0] += connection.send(b"x" * 65536)
        except TimeoutError:
            stuck.set()
            connection.settimeout(20)
            connection.sendall(b"end")

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HANDSHAKE)
        _, body = raw.read_head(client)
        assert stuck.wait(30)
        assert sent[0] < 64 * 2**20
        got = len(body)
        while got < sent[0] + 3:
            got += len(client.recv(2**20))


@pytest.mark.parametrize("gone", ["client", "server"])
def test_when_one_side_is_gone_so_is_the_other(tmp_path: Path, gone: str) -> None:
    ended = Event()

    def serve(connection: socket.socket) -> None:
        raw.read_head(connection)
        connection.sendall(ACCEPTED)
        if gone == "client" and connection.recv(1) == b"":
            ended.set()

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router:
        with raw.connect(router.port) as client:
            client.sendall(HANDSHAKE)
            raw.read_head(client)
            if gone == "server":
                assert client.recv(1) == b""
                ended.set()
        assert ended.wait(10)
