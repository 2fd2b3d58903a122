"""Clients with exact ledgers: what they had acknowledged, and what they can't know."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from reports import shape

from forebay.core import wire
from forebay.core.record import ShapeColumns, columns_of

SHAPE = ShapeColumns.of(shape("Load", "Query.load"))


@dataclass(slots=True)
class Agent:
    """Sends reports one by one, each as the same bytes until it is acknowledged, as every agent does."""

    name: str
    port: int
    token: str
    pause: float = 0.0  # seconds between reports
    requests: int = 0  # in acknowledged reports
    attempts: int = 0
    failures: int = 0  # attempts that were not acknowledged
    reports: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def finish(self) -> None:
        """Stop after the report that is under way is acknowledged."""
        self.stopping.set()
        if self.thread:
            self.thread.join(timeout=120)
            assert not self.thread.is_alive(), f"{self.name} never got its last report acknowledged"

    def _run(self) -> None:
        sequence = 0
        while not self.stopping.is_set():
            sequence += 1
            requests = 1 + sequence % 7
            body = self._body(sequence, requests)
            while not self._acknowledged(body):
                self.failures += 1
                time.sleep(0.02)
            self.requests += requests
            self.reports += 1
            self.stopping.wait(self.pause)

    def _body(self, sequence: int, requests: int) -> bytes:
        key = (int(time.time()) // 60, "v", SHAPE.id, self.name, "1", 200)
        columns: dict[str, Any] = dict(columns_of({key: (requests, 0, {sequence % 50: requests})}))
        return wire.encode(wire.Push(agent=self.name, sequence=sequence, shapes=[SHAPE], **columns))

    def _acknowledged(self, body: bytes) -> bool:
        self.attempts += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        try:
            connection.request("POST", wire.PATH, body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        assert answer.status in (200, 503), answer.status
        return answer.status == 200
