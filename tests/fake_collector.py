"""A collector for tests: a real HTTP server that takes reports in, and plays faults in the order given."""

from __future__ import annotations

import gzip
import json
import socket
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import msgspec
from served import Handler, served

from forebay.core import wire
from forebay.core.execution import Outcome, Place
from forebay.core.record import ShapeColumns


def decoded(body: bytes) -> wire.Push:
    """A report as an agent sent it."""
    return msgspec.json.decode(gzip.decompress(body), type=wire.Push)


class FakeCollector:
    """`faults` are used up one per request: a status, (status, headers), or one of the words

    cut (close without taking the report), cut-after (take it, then close without an answer) and
    hang (take nothing, answer never).
    """

    def __init__(self) -> None:
        self.faults: deque[int | str | tuple[int, dict[str, str]]] = deque()
        self.bodies: list[bytes] = []  # each attempt's
        self.headers: list[dict[str, str]] = []
        self.pushes: dict[tuple[str, int], wire.Push] = {}  # taken, each once
        self.interval: float | None = None
        self.over = Event()
        self.lock = Lock()
        self.url = ""

    @property
    def shapes(self) -> dict[str, ShapeColumns]:
        return {shape.id: shape for push in self.pushes.values() for shape in push.shapes}

    def requests(self) -> int:
        return sum(sum(push.requests) for push in self.pushes.values())

    def lost(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for push in self.pushes.values():
            total.update(push.lost)
        return total

    def usage(self) -> Counter[tuple[str, str, str, bool]]:
        """Requests by (client, version, operation name, errors)."""
        shapes, total = self.shapes, Counter[tuple[str, str, str, bool]]()
        for push in self.pushes.values():
            for key, (requests, errors, _) in push.rows():
                who = (key[3], key[4], shapes[key[2]].name)
                total[(*who, False)] += requests - errors
                total[(*who, True)] += errors
        return +total

    def errors(self) -> Counter[tuple[str, str]]:
        """Errors by (operation name, coordinate)."""
        shapes, total = self.shapes, Counter[tuple[str, str]]()
        for (_, shape, coordinate, _, _), outcome in self.outcomes():
            if outcome.errors:
                total[shapes[shape].name, coordinate] += outcome.errors
        return total

    def executions(self) -> dict[str, tuple[int, int]]:
        """By coordinate the executions that were seen, and, as an estimate, how many failed."""
        total: dict[str, tuple[int, int]] = {}
        for (_, _, coordinate, _, _), outcome in self.outcomes():
            if outcome.sampled:
                seen, failed = total.get(coordinate, (0, 0))
                total[coordinate] = seen + outcome.sampled, failed + outcome.failed
                assert sum(outcome.duration.values()) == outcome.executions
        return total

    def outcomes(self) -> list[tuple[Place, Outcome]]:
        """Errors first."""
        rows = [row for push in self.pushes.values() if push.executions for row in push.executions.rows()]
        return sorted(rows, key=lambda row: row[1].sampled)

    def take(self, body: bytes) -> None:
        push = decoded(body)
        with self.lock:
            self.pushes.setdefault((push.agent, push.sequence), push)


@contextmanager
def fake_collector() -> Iterator[FakeCollector]:
    collector = FakeCollector()

    class Receiver(Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with collector.lock:
                collector.bodies.append(body)
                collector.headers.append(dict(self.headers.items()))
                fault = collector.faults.popleft() if collector.faults else 200
            if self.path != wire.PATH:
                fault = 404
            if fault == "hang":
                collector.over.wait(10)
            if fault == "cut-after":
                collector.take(body)
            if isinstance(fault, str):
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            status, headers = (fault, {}) if isinstance(fault, int) else fault
            if status == 200:
                collector.take(body)
            said: dict[str, Any] = {"accepted": True} if status == 200 else {"code": "a reason"}
            answer = json.dumps(said | ({"interval": collector.interval} if collector.interval else {})).encode()
            self.answer(status, headers, answer)

        def do_GET(self) -> None:  # where a redirect would lead
            self.answer(200, {}, b"")

    with served(Receiver, ended=collector.over.set) as collector.url:
        yield collector
