"""A load client that costs little: whole requests made beforehand, keep-alive connections, one thread."""

from __future__ import annotations

import itertools
import math
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """Answers per second, and how long each took, in seconds, ascending."""

    rate: float
    latencies: list[float]

    def quantile(self, q: float) -> float:
        return self.latencies[int(q * (len(self.latencies) - 1))]


def request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drive(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    seconds: float = math.inf,
    per_second: float | None = None,
    total: int | None = None,
) -> Served:
    """Send the requests round and round, for a while or `total` of them.

    Each connection sends as soon as it has its answer, or, with `per_second`, requests are due
    at that pace: a latency then includes the time that a request waited for a connection.
    """
    selector = selectors.DefaultSelector()
    idle: deque[socket.socket] = deque()
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        idle.append(connection)
    following = itertools.cycle(requests)
    left = math.inf if total is None else total
    under_way: dict[socket.socket, float] = {}
    latencies: list[float] = []
    begun = time.perf_counter()
    end, due = begun + seconds, begun
    while ((now := time.perf_counter()) < end and left) or under_way:
        while idle and left and now < end and (per_second is None or due <= now):
            left -= 1
            connection = idle.popleft()
            under_way[connection] = due if per_second else time.perf_counter()
            connection.sendall(next(following))
            due += 1 / per_second if per_second else 0
        waiting = max(due - now, 0) if per_second and idle and left and now < end else 0.5
        for key, _ in selector.select(min(waiting, 0.5)):
            answered = key.fileobj
            assert isinstance(answered, socket.socket)
            read(answered)
            latencies.append(time.perf_counter() - under_way.pop(answered))
            idle.append(answered)
    took = time.perf_counter() - begun
    for key in list(selector.get_map().values()):
        selector.unregister(key.fileobj)
    for connection in idle:
        connection.close()
    return Served(len(latencies) / took, sorted(latencies))


def read(connection: socket.socket) -> None:
    """Read one answer, which must be a 200."""
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"the server hung up after {answer!r}")
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"the server refused: {answer.decode(errors='replace')}")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
