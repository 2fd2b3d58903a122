"""An upstream and a client that speak bytes: what is passed on can be compared exactly."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

Serve = Callable[[socket.socket], None]


@contextmanager
def upstream(serve: Serve) -> Iterator[int]:
    """A server whose every connection is handled by `serve`, in a thread of its own.  The port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            serve(connection)

    thread = Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(20)
    return connection


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of a message, and what came with it of the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"hung up after {data!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body, whose length is told or which is chunked (then with its chunks' heads)."""
    head, body = read_head(connection)
    lower = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lower:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    elif (at := lower.find(b"\r\ncontent-length:")) >= 0:
        length = int(lower[at:].split(b"\r\n")[1].split(b":")[1])
        while len(body) < length:
            body += connection.recv(65536)
    return head, body


def exchange(port: int, request: bytes) -> bytes:
    """All bytes of the answer, until the other side closes the connection or the answer is complete."""
    with connect(port) as connection:
        connection.sendall(request)
        answer = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def parsed(answer: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Status line, headers but those of one hop and of framing, and the body as it is meant."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    pairs = [(line.partition(b": ")[0], line.partition(b": ")[2]) for line in lines]
    framing = (b"connection", b"transfer-encoding", b"keep-alive", b"date", b"content-length", b"trailer")
    if (b"transfer-encoding", b"chunked") in [(name.lower(), value.lower()) for name, value in pairs]:
        body = dechunked(body)
    return status, [pair for pair in pairs if pair[0].lower() not in framing], body


def dechunked(body: bytes) -> bytes:
    plain = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if length == 0:
            return plain
        plain, body = plain + body[:length], body[length + 2 :]
    raise AssertionError("a chunked body without its end")
