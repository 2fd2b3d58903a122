"""One process of a fleet, started through the command line's own entry, that can be told what should befall it.

The process is forked from a server that has imported everything, and has a thread that waits for
orders: a `Kill` at a step, a `Jump` of its clock, a `Full` disk.  Its clock is Python's
`time.time`, replaced in this process alone; what librdkafka and the server's Rust read is not moved.
"""

from __future__ import annotations

import http.client
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .pipeline import Kill, free_port, install, processes

Mutation = Callable[[], None]
"""Breaks a promise on purpose, by patching the process that calls it."""


@dataclass(frozen=True, slots=True)
class Jump:
    """The clock says so many seconds more (or less) than the machine's."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Full:
    """No file may grow beyond so many bytes: EFBIG, which needs no disk of its own.  None takes it back."""

    bytes: int | None


Order = Kill | Jump | Full | None


@dataclass(slots=True)
class Member:
    """`forebay COMMAND`, started, stopped and killed again and again on one data directory and port."""

    command: str
    data: Path
    environment: Mapping[str, str]
    mutation: Mutation | None = None
    port: int = field(default_factory=free_port)
    process: Any = None
    starts: int = 0
    _orders: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Standard error of all its lives."""
        return self.data / "log"

    @property
    def said(self) -> str:
        """Standard output of its latest life."""
        return self._output.read_text()

    def start(self) -> Member:
        self.begin()
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.process.is_alive(), f"{self.command} did not start: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{self.command} does not answer"
            time.sleep(0.02)
        return self

    def begin(self) -> None:
        """Start, and do not wait."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        ours, theirs = processes.Pipe()
        arguments = [self.command, "--data", str(self.data), "--port", str(self.port)]
        plan = (arguments, dict(self.environment), self._output, self.log, theirs, self.mutation)
        self.process = processes.Process(target=_run, args=plan, daemon=True)
        self.process.start()
        theirs.close()
        self._orders = ours

    def order(self, order: Order) -> None:
        """Obeyed within milliseconds, unless it is dead; None takes back a Kill that has not come about."""
        with suppress(BrokenPipeError):
            self._orders.send(order)

    def stopped(self) -> bool:
        """Has it been stopped by SIGSTOP?"""
        try:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].startswith("T")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def dead(self) -> bool:
        return not self.process.is_alive()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def stop(self) -> str:
        """SIGTERM; what it has said in the end."""
        self.process.terminate()
        self.process.join(timeout=60)
        assert self.process.exitcode == 0, self.log.read_text()[-2000:]
        return self.said

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    @property
    def _output(self) -> Path:
        return self.data / f"said-{self.starts}"


def _run(
    arguments: list[str],
    environment: dict[str, str],
    output: Path,
    log: Path,
    orders: Connection,
    mutation: Mutation | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((output, sys.stdout), (log, sys.stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, stream.fileno())
    clock = _Clock()
    time.time = clock.now
    from forebay.cli import main

    if mutation:
        mutation()
    threading.Thread(target=_obey, args=(orders, clock), daemon=True).start()
    sys.argv = ["forebay", *arguments]
    main()


class _Clock:
    def __init__(self) -> None:
        self._real = time.time
        self.ahead = 0.0

    def now(self) -> float:
        return self._real() + self.ahead


def _obey(orders: Connection, clock: _Clock) -> None:
    while True:
        try:
            order: Order = orders.recv()
        except EOFError:  # who started this is gone
            os._exit(1)
        match order:
            case Jump(seconds):
                clock.ahead = seconds
            case Full(size):
                _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
            case _:
                install(order)
