"""What passes a router is what was sent, on both sides, byte by byte."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
from router import raw
from router.routed import Routed, routed

HEAD = b"POST /graphql HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n"


class Upstream:
    """Answers each connection's requests with `answer`, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        self.close = False
        self.requests: list[tuple[bytes, bytes]] = []
        self.port = 0

    def serve(self, connection: socket.socket) -> None:
        while True:
            self.requests.append(raw.read_request(connection))
            connection.sendall(self.answer)
            if self.close:
                return


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upstream, Routed]]:
    served = Upstream()
    with raw.upstream(served.serve) as port, routed(port, folder=tmp_path_factory.mktemp("router")) as router:
        served.port = port
        yield served, router


@pytest.fixture
def upstream(both: tuple[Upstream, Routed]) -> Upstream:
    served = both[0]
    served.requests.clear()
    served.close, served.answer = False, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    return served


@pytest.fixture
def router(both: tuple[Upstream, Routed]) -> Routed:
    return both[1]


@pytest.mark.parametrize(
    "line",
    [
        "GET /graphql?query=%7Bhello%7D&variables=%7b%7D HTTP/1.1",
        "GET /a/../b//c/%2e%2E/%41?x=1&&y=a+b%20c;d HTTP/1.1",
        "DELETE /graphql?=&a HTTP/1.1",
        "PROPFIND /graphql/ HTTP/1.1",
        "OPTIONS /graphql HTTP/1.1",
        "GET /%C3%A4%FF?%FF=%00 HTTP/1.1",
    ],
)
def test_method_path_and_query_go_on_as_they_were_sent(upstream: Upstream, router: Routed, line: str) -> None:
    raw.exchange(router.port, f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    [(head, body)] = upstream.requests
    assert head.split(b"\r\n")[0].decode() == line
    assert body == b""


def test_headers_go_on_in_order_and_spelling_but_those_of_one_hop(upstream: Upstream, router: Routed) -> None:
    request = (
        b"POST /graphql HTTP/1.1\r\nHost: api.example\r\nX-b: 1\r\nx-A:  2 \r\nCookie: a=1; b=2\r\nX-b: 3\r\n"
        b"X-Forwarded-For: 10.0.0.1\r\nConnection: close, X-Drop\r\nX-Drop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"TE: trailers\r\nProxy-Authorization: kept\r\nX-Utf: \xc3\xa4\r\nX-Latin: \xe4\r\nContent-Length: 2\r\n\r\n{}"
    )
    raw.exchange(router.port, request)
    [(head, body)] = upstream.requests
    assert body == b"{}"
    assert head.split(b"\r\n")[1:] == [
        f"Host: 127.0.0.1:{upstream.port}".encode(),
        b"X-b: 1",
        b"x-A: 2",
        b"Cookie: a=1; b=2",
        b"X-b: 3",
        b"Proxy-Authorization: kept",
        b"X-Utf: \xc3\xa4",
        b"X-Latin: \xe4",
        b"Content-Length: 2",
        b"X-Forwarded-For: 10.0.0.1, 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: api.example",
    ]


ANSWERS = {
    "a length": b"HTTP/1.1 200 OK\r\nServer: odd/1\r\ncontent-TYPE: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "no type": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "nothing": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "not modified": b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
    "odd status": b"HTTP/1.1 299 Quite Fine\r\nContent-Length: 1\r\n\r\nx",
    "cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nVary: x\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /x?y\r\nContent-Length: 0\r\n\r\n",
    "refusal": b"HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<b>!",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n",
    "gzip that is none": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz",
    "utf-8": b"HTTP/1.1 200 OK\r\nX-A: \xc3\xa4\r\nContent-Length: 0\r\n\r\n",
    "latin-1": b"HTTP/1.1 200 OK\r\nX-A: \xe4\r\nContent-Length: 0\r\n\r\n",
    "one hop": b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_come_back_as_they_were_given(upstream: Upstream, router: Routed, name: str) -> None:
    upstream.answer = ANSWERS[name]
    answer = raw.exchange(router.port, HEAD + b"Content-Length: 2\r\n\r\n{}")
    assert raw.parsed(answer) == raw.parsed(upstream.answer)


def test_an_answer_that_ends_with_its_connection_comes_back_whole(upstream: Upstream, router: Routed) -> None:
    upstream.answer, upstream.close = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n" + b"x" * 200_000, True
    answer = raw.exchange(router.port, HEAD + b"Content-Length: 2\r\n\r\n{}")
    assert raw.parsed(answer) == raw.parsed(upstream.answer)


def test_the_answer_to_head_has_its_length_and_no_body(upstream: Upstream, router: Routed) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n"
    answer = raw.exchange(router.port, b"HEAD /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\ncontent-length: 123" in head.lower()
    assert body == b""


def test_a_chunked_body_goes_on_whole_and_one_that_expects_to_is_let_on(upstream: Upstream, router: Routed) -> None:
    request = HEAD + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw.connect(router.port) as client:
        client.sendall(request)
        assert raw.read_head(client)[0] == b"HTTP/1.1 100 Continue"
        client.sendall(b"3\r\nabc\r\n")
        client.sendall(b"4\r\ndefg\r\n0\r\n\r\n")
        raw.read_head(client)
    [(head, body)] = upstream.requests
    assert (raw.dechunked(body) if b"chunked" in head else body) == b"abcdefg"


def test_requests_of_one_connection_are_answered_in_turn(upstream: Upstream, router: Routed) -> None:
    one = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    answer = raw.exchange(router.port, one * 3 + HEAD + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert len(upstream.requests) == 4


def test_pieces_come_through_at_once(tmp_path: Path) -> None:
    seen = Event()

    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):  # the next is sent only when the one before has arrived
            assert seen.wait(10)
            seen.clear()
            connection.sendall(b"9\r\ndata: x\n\n\r\n")
        connection.sendall(b"0\r\n\r\n")

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
        head, body = raw.read_head(client)
        assert b"chunked" in head
        for number in range(5):
            seen.set()
            while body.count(b"data: x\n\n") <= number:
                body += client.recv(65536)


def test_a_request_goes_on_piece_by_piece_before_it_is_whole(tmp_path: Path) -> None:
    arrived = [Event(), Event()]

    def serve(connection: socket.socket) -> None:
        _, body = raw.read_head(connection)
        for event, wanted in zip(arrived, (b"one", b"onetwo"), strict=True):
            while raw_body(body) != wanted:
                body += connection.recv(65536)
            event.set()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def raw_body(body: bytes) -> bytes:
        return body.replace(b"\r\n", b"").replace(b"3", b"").replace(b"0", b"")

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece, event in zip((b"one", b"two"), arrived, strict=True):
            client.sendall(b"3\r\n" + piece + b"\r\n")
            assert event.wait(10)
        client.sendall(b"0\r\n\r\n")
        assert raw.read_head(client)[0].startswith(b"HTTP/1.1 200 OK")


def test_neither_side_is_read_faster_than_the_other_takes_it(tmp_path: Path) -> None:
    sent = [0]
    stuck = Event()

    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        connection.settimeout(1)
        try:
            while sent[0] < 1_000_000_000:
                sent[0] += connection.send(b"x" * 65536)
        except TimeoutError:
            stuck.set()

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
        raw.read_head(client)
        assert stuck.wait(30)
        assert sent[0] < 64 * 2**20


def test_a_client_that_goes_away_ends_its_request_at_the_upstream(tmp_path: Path) -> None:
    asked, ended = Event(), Event()

    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        asked.set()
        if connection.recv(1) == b"":
            ended.set()

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router:
        with raw.connect(router.port) as client:
            client.sendall(HEAD + b'Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{"query":"{big}"}')
            assert asked.wait(10)
        assert ended.wait(10)
        router.settled()
        [(key, count)] = router.rows()
        assert (key[5], count[0]) == (499, 1)


def refused(answer: bytes) -> tuple[int, str]:
    status, headers, body = raw.parsed(answer)
    assert (b"Content-Type", b"application/json") in headers
    [error] = json.loads(body)["errors"]
    assert error["message"].startswith("forebay router: ")
    return int(status.split()[1]), error["extensions"]["code"]


def test_an_upstream_that_is_away_is_a_502_and_is_counted(tmp_path: Path) -> None:
    with raw.upstream(lambda _: None) as port:
        pass
    with routed(port, folder=tmp_path) as router:
        before = router.metric('forebay_router_refused_total{reason="unreachable"}')
        body = b'{"query":"query A {hello}"}'
        sent = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert refused(raw.exchange(router.port, HEAD + sent + body)) == (502, "UNREACHABLE")
        assert router.metric('forebay_router_refused_total{reason="unreachable"}') == before + 1
        assert router.usage() == {("", "", "A", True): 1}


def test_an_upstream_that_hangs_up_or_is_silent_is_a_502_or_504(tmp_path: Path) -> None:
    silent = Event()

    def serve(connection: socket.socket) -> None:
        head, _ = raw.read_request(connection)
        if b"/silent" in head:
            silent.wait(10)

    with raw.upstream(serve) as port, routed(port, folder=tmp_path, answer=0.3) as router:
        assert refused(raw.exchange(router.port, HEAD + b"\r\n")) == (502, "BROKEN")
        silently = HEAD.replace(b"/graphql", b"/silent")
        assert refused(raw.exchange(router.port, silently + b"\r\n")) == (504, "TIMEOUT")
        silent.set()


def test_an_answer_that_comes_before_the_request_is_whole_is_passed_on(tmp_path: Path) -> None:
    answered = Event()

    def serve(connection: socket.socket) -> None:
        raw.read_head(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        answered.wait(10)

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router, raw.connect(router.port) as client:
        client.sendall(HEAD + b"Content-Length: 1000000\r\n\r\nbegun")
        head, body = raw.read_head(client)
        assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 413 Too Large", b"big")
        answered.set()


def test_sockets_that_never_end_are_cut_when_the_time_to_drain_is_over(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        raw.read_head(connection)
        upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
        connection.recv(1)

    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    with raw.upstream(serve) as port:
        with routed(port, folder=tmp_path, drain=0.1) as router:
            client = raw.connect(router.port)
            client.sendall(upgrade)
            raw.read_head(client)
        assert client.recv(1) == b""
        client.close()
        assert router.said.startswith("stopped; 1 answers were cut off")


def test_an_answer_that_breaks_off_breaks_off_at_the_client(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router:
        answer = raw.exchange(router.port, HEAD + b"\r\n")
        assert b"abc" in answer
        assert not answer.endswith(b"0\r\n\r\n")


def test_what_can_not_be_passed_on_is_refused_and_counted(tmp_path: Path) -> None:
    hold = Event()

    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        hold.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw.upstream(serve) as port, routed(port, folder=tmp_path, requests=1, head_kib=16) as router:
        before = router.metric('forebay_router_refused_total{reason="head"}')
        long = raw.exchange(router.port, HEAD + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n")
        smuggled = raw.exchange(router.port, HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}")
        assert {long.split()[1], smuggled.split()[1]} == {b"400"}
        assert router.metric('forebay_router_refused_total{reason="head"}') == before + 2
        with raw.connect(router.port) as first:
            first.sendall(HEAD + b"\r\n")
            while not router.metric("forebay_router_in_flight"):
                sleep(0.01)
            assert refused(raw.exchange(router.port, HEAD + b"\r\n")) == (503, "BUSY")
            hold.set()
            assert raw.read_head(first)[0].startswith(b"HTTP/1.1 200")


def test_what_is_in_flight_ends_before_the_router_does(tmp_path: Path) -> None:
    asked, go = Event(), Event()

    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        asked.set()
        go.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend")

    got: list[Any] = []
    with raw.upstream(serve) as port:
        client = None
        with routed(port, folder=tmp_path) as router:
            client = raw.connect(router.port)
            client.sendall(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert asked.wait(10)
            go.set()
        while chunk := client.recv(65536):
            got.append(chunk)
        client.close()
    assert b"".join(got).endswith(b"end")
