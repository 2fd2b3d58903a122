"""A whole embedded Forebay in a process of its own, killed where a test wants it.

Processes are forked from one server that has imported everything, so that hundreds of starts
are affordable.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from forebay.access import Identity, Scope, SigningKeys
from forebay.datadir import keys_path, open_directory
from forebay.errors import Stop
from forebay.steps import on_step

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["forebay.cli", "forebay.wiring.embedded", "forebay.journal.kafka", "faults.pipeline"])


@dataclass(frozen=True, slots=True)
class Kill:
    """A signal to itself when `step` is reached for the nth time; without a step, at the nth of any steps."""

    step: str | None
    nth: int
    signal: int = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise Stop the first `times` that `step` is reached."""

    step: str
    times: int


@dataclass(slots=True)
class Pipeline:
    """`forebay up` on one data directory, started and killed again and again."""

    data: Path
    port: int = field(default_factory=lambda: free_port())
    process: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, scope: Scope = Scope.WRITE, org: str = "acme", graph: str = "shop") -> str:
        self.data.mkdir(parents=True, exist_ok=True)
        return SigningKeys.load(keys_path(self.data)).create(Identity(org, graph, scope), 3600)

    def start(self, fault: Kill | Fail | None = None, wait: bool = True) -> None:
        self.process = processes.Process(target=_run, args=(self.data, self.port, fault), daemon=True)
        self.process.start()
        deadline = time.monotonic() + 60
        while wait and self.process.is_alive() and not self.healthy():
            if time.monotonic() > deadline:
                raise TimeoutError("the pipeline did not start")
            time.sleep(0.01)

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def stop(self) -> int:
        """SIGTERM, as an operator would; the exit code."""
        self.process.terminate()
        self.process.join(timeout=60)
        return int(self.process.exitcode)

    def ask(self, question: str) -> Any:
        """An answer of the JSON API."""
        return httpx.get(f"{self.url}/api/v1/{question}", timeout=60).raise_for_status().json()


def install(fault: Kill | Fail | None) -> None:
    """Let it happen to this process."""
    reached = itertools.count(1)

    def hook(step: str) -> None:
        match fault:
            case Kill(at, nth, number) if at in (None, step) and next(reached) == nth:
                os.kill(os.getpid(), number)
            case Fail(at, times) if at == step and next(reached) <= times:
                raise Stop(f"made to stop at {step}")

    on_step(hook)


def _run(data: Path, port: int, fault: Kill | Fail | None) -> None:
    install(fault)
    os.environ["FOREBAY_LOADER_RETRY"] = "0.1"
    from forebay.serving import Address
    from forebay.wiring.embedded import Embedded

    address = Address("127.0.0.1", port)
    with open_directory(data) as directory:
        Embedded(directory, address).run(address, started=lambda: None)


def free_port() -> int:
    from kafka.local_kafka import free_ports  # the server of forks does not find it

    return free_ports(1)[0]
