"""The demo: the real pipeline, a real service and its clients, and an exact comparison at the end.

Three parties, joined by HTTP alone: `forebay up` in a process, the service in another, the
clients here.  What the clients' ledger says must be what the pipeline answers, request by request.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ..access import Identity, Scope, SigningKeys
from ..datadir import keys_path
from ..errors import Stop
from .clients import Line, Traffic
from .service import sdl

ORG = "demo"
START_WITHIN = 60.0
LOAD_WITHIN = 60.0
WINDOW = "1d"


@dataclass(slots=True)
class Outcome:
    """What the demo found out; `mismatches` are sentences, one for each line of the ledger that differs."""

    sent: int = 0
    answered: int = 0
    mismatches: list[str] = field(default_factory=list)
    unknown: int = 0
    first_answer_seconds: float | None = None
    conserved: bool | None = None
    page: str = ""

    @property
    def exact(self) -> bool:
        return not self.mismatches and bool(self.conserved) and self.sent > 0


class Demo:
    """Everything running; a context manager that ends it all."""

    def __init__(self, data: Path, port: int, begun: float) -> None:
        self.graph = time.strftime("shop-%Y%m%d-%H%M%S", time.gmtime())
        self._data = data
        self._begun = begun
        self._port = port
        self._processes = ExitStack()
        self._service: subprocess.Popen[bytes] | None = None
        self.traffic = Traffic()
        self.url = f"http://127.0.0.1:{port}"
        self._scope = {"org": ORG, "graph": self.graph}
        self.outcome = Outcome(page=f"{self.url}/?org={ORG}&graph={self.graph}&window=1h")

    def __enter__(self) -> Demo:
        self._data.mkdir(parents=True, exist_ok=True)
        keys = SigningKeys.load(keys_path(self._data))
        token = keys.create(Identity(ORG, self.graph, Scope.WRITE), ttl=30 * 86_400)
        up = ["-m", "forebay", "up", "--data", str(self._data), "--port", str(self._port)]
        self._processes.enter_context(_running(up))
        _wait_for(f"{self.url}/health", "the pipeline")
        port = free_port()
        service = ["-m", "forebay.demo.service", "--port", str(port), "--collector", self.url, "--interval", "1"]
        self._service = self._processes.enter_context(_running(service, FOREBAY_TOKEN=token))
        _wait_for(f"http://127.0.0.1:{port}/", "the service")
        self.traffic.start(f"http://127.0.0.1:{port}/")
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.close()

    def ask(self, question: str, **parameters: str) -> dict[str, Any]:
        """An answer about this run's graph; an empty one while nothing of it has been loaded."""
        return self._answer("GET", question, params={**self._scope, **parameters})

    def who_uses(self, coordinate: str) -> list[dict[str, Any]]:
        """Question 3.  Remembers when it was first answered rightly."""
        uses = self.ask("clients", coordinate=coordinate, window=WINDOW).get("uses", [])
        if self.outcome.first_answer_seconds is None and any(use["client"] == "Android App" for use in uses):
            self.outcome.first_answer_seconds = round(time.monotonic() - self._begun, 2)
        return list(uses)

    def fields_of(self, client: str, version: str) -> list[dict[str, Any]]:
        """Question 2."""
        return list(self.ask("fields", client=client, version=version, window=WINDOW)["uses"])

    def check_without(self, line: str) -> dict[str, Any]:
        """Question 1: what breaks if this line is taken out of the schema?"""
        proposal = "\n".join(kept for kept in sdl().splitlines() if kept.strip() != line)
        content = {"schema": proposal, "against": sdl(), "window": WINDOW}
        return self._answer("POST", "check", params=self._scope, json=content)

    def settle(self) -> Outcome:
        """Stop the traffic, wait until everything is loaded, and compare."""
        self.traffic.stop()
        service = self._service
        if service is not None:
            service.send_signal(signal.SIGTERM)
            if service.wait(timeout=30):
                self.outcome.mismatches.append("the service ended before its last report was acknowledged")
        self._loaded()
        ledger = self.traffic.ledger
        self.outcome.sent = ledger.total()
        self.outcome.unknown = self.traffic.unknown
        answers = self._answers()
        self.outcome.answered = answers.total()
        self.outcome.mismatches += mismatches(ledger, answers)
        self.outcome.conserved = bool(self.ask("verify")["ok"])
        return self.outcome

    def _answer(self, method: str, question: str, **request: Any) -> dict[str, Any]:
        try:
            answer = httpx.request(method, f"{self.url}/api/v1/{question}", timeout=60, **request)
            if answer.status_code == 404:
                return {}
            return dict(answer.raise_for_status().json())
        except httpx.HTTPError as exc:
            raise Stop(f"the pipeline does not answer: {exc}") from exc

    def _loaded(self) -> None:
        deadline = time.monotonic() + LOAD_WITHIN
        while any(stage["lag_records"] for stage in self.ask("status")["journal"]):
            if time.monotonic() > deadline:
                raise Stop("the pipeline did not load everything in time")
            time.sleep(0.1)

    def _answers(self) -> Counter[Line]:
        answers: Counter[Line] = Counter()
        for client in self.ask("clients", window=WINDOW).get("clients", []):
            who = {"client": client["client"], "version": client["client_version"]}
            for row in self.ask("operations", window=WINDOW, limit="10000", **who)["operations"]:
                key = (who["client"], who["version"], row["name"])
                answers[(*key, True)] += row["errors"]
                answers[(*key, False)] += row["requests"] - row["errors"]
        return Counter({line: count for line, count in answers.items() if count})


def mismatches(sent: Mapping[Line, int], answered: Mapping[Line, int]) -> list[str]:
    """A sentence for each line of the ledger that is not answered as it was sent."""
    lines = sorted(sent.keys() | answered.keys())
    return [
        f"{f'{client} {version}'.strip() or '(unidentified)'}, {operation or '(anonymous)'}"
        f" {'with' if errors else 'without'} errors: {there} sent, {here} answered"
        for client, version, operation, errors in lines
        if (there := sent.get((client, version, operation, errors), 0))
        != (here := answered.get((client, version, operation, errors), 0))
    ]


def watch(demo: Demo, until: float | None, stopping: threading.Event, tell: Callable[[Demo], None]) -> None:
    """Tell how it goes every second, until the time is over or somebody stops it."""
    while not stopping.is_set() and (until is None or time.monotonic() < until):
        tell(demo)
        stopping.wait(1.0 if until is None else max(0.0, min(1.0, until - time.monotonic())))


def free_port(wanted: int = 0) -> int:
    """`wanted` if it is free, else any free port."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(arguments: list[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of its own session, so that Ctrl-C reaches it through us, in order."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, who: str) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=1)
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise Stop(f"{who} did not start: see the lines above")
