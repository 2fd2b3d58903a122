"""Simulated routers with exact ledgers: what they had acknowledged, and what they can't know."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from reports import shape

from forebay.core import wire
from forebay.core.execution import Outcome
from forebay.core.record import ExecutionColumns, ShapeColumns, columns_of
from forebay.core.tally import Tallies

COORDINATE = "Query.load"
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.2
"""Seconds between attempts; those of a real agent are longer."""


@dataclass(slots=True)
class Agent:
    """Sends reports one by one, each as the same bytes until it is acknowledged, as every agent does.

    Each has an operation of its own.  Behind several collectors it turns from one to the next, as a
    balancer does: where one does not answer within `timeout` seconds, the next one gets the same bytes.
    """

    name: str
    port: int
    token: str
    pause: float = 0.0  # seconds between reports
    others: tuple[int, ...] = ()  # ports of other collectors
    timeout: float = 10.0
    client: str = ""  # whom reports are counted for from now on; its own name by default
    tallies: int = 1  # in a report
    ledger: Counter[str] = field(default_factory=Counter)  # requests in acknowledged reports, by client
    attempts: int = 0
    failures: int = 0  # attempts that were not acknowledged
    refusals: int = 0  # those of them that were answered
    reports: int = 0
    longest_wait: float = 0.0  # for an acknowledgement, from the first attempt, in seconds
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sending: tuple[str, float] | None = None  # for whom the report under way counts, and since when
    _shape: ShapeColumns = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.client or self.name
        self._shape = ShapeColumns.of(shape(self.name, COORDINATE))

    @property
    def requests(self) -> int:
        return self.ledger.total()

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def finish(self) -> None:
        """Stop after the report that is under way is acknowledged."""
        self.stopping.set()
        if self.thread:
            self.thread.join(timeout=120)
            assert not self.thread.is_alive(), f"{self.name} never got its last report acknowledged"

    def count_for(self, client: str) -> None:
        """Reports that are begun from now on."""
        with self._lock:
            self.client = client

    def owes(self, client: str) -> bool:
        """Is a report for this client under way, or may one still be begun?"""
        with self._lock:
            return self.client == client or bool(self._sending and self._sending[0] == client)

    def waited(self) -> float:
        """The longest wait for an acknowledgement since this was last asked, one under way included."""
        with self._lock:
            now = time.monotonic()
            longest, self.longest_wait = self.longest_wait, 0.0
            return max(longest, now - self._sending[1] if self._sending else 0.0)

    def _run(self) -> None:
        sequence = 0
        while not self.stopping.is_set():
            sequence += 1
            requests = self.tallies * (1 + sequence % 7)
            begun = time.monotonic()
            with self._lock:
                client = self.client
                self._sending = client, begun
            self._to_next()
            self._deliver(self._body(sequence, requests, client))
            with self._lock:
                self.longest_wait = max(self.longest_wait, time.monotonic() - begun)
                self.ledger[client] += requests
                self._sending = None
            self.reports += 1
            self.stopping.wait(self.pause)

    def _deliver(self, body: bytes) -> None:
        pause = FIRST_PAUSE
        while not self._acknowledged(body):
            self.failures += 1
            self._to_next()
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _to_next(self) -> None:
        """The next collector's turn."""
        self.port, *others = *self.others, self.port
        self.others = tuple(others)

    def _body(self, sequence: int, requests: int, client: str) -> bytes:
        minute, each = int(time.time()) // 60, requests // self.tallies
        tallies: Tallies = {
            (minute, "v", self._shape.id, client, str(number), 200): (each, 0, {sequence % 50: each})
            for number in range(self.tallies)
        }
        columns: dict[str, Any] = dict(columns_of(tallies))
        failed = Outcome(requests=requests, errors=requests)  # each request, which `verify` counts as well
        columns["executions"] = ExecutionColumns.of({(minute, self._shape.id, COORDINATE, client, ""): failed})
        return wire.encode(wire.Push(agent=self.name, sequence=sequence, shapes=[self._shape], **columns))

    def _acknowledged(self, body: bytes) -> bool:
        self.attempts += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
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
        self.refusals += answer.status == 503
        return answer.status == 200
