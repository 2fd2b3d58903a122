"""The front from the outside: started, killed, restarted on the same data, and told what to do wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from faults.pipeline import free_port

from .faults import Fault, Kind

TESTS = Path(__file__).parent.parent


@dataclass(slots=True)
class Front:
    """A ClickHouse server as far as clients can tell; one process, one data directory.

    With FRONT_PYTHON, an interpreter that has another chDB, tests run on that version of the engine.
    """

    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "forebay", **options: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"http://127.0.0.1:{self.port}/{database}?{query}"

    def start(self) -> None:
        command = [os.environ.get("FRONT_PYTHON", sys.executable), "-m", "front.server", str(self.data), str(self.port)]
        self.process = subprocess.Popen(command, cwd=TESTS, env=os.environ | {"PYTHONPATH": str(TESTS)})
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the front did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: what is not on disk is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def gone(self) -> None:
        """Wait for the end of a front that kills itself."""
        assert self.process is not None
        self.process.wait(timeout=60)

    def fault(self, kind: Kind, value: float = 0, **when: object) -> None:
        """Switch a fault on: `times`, `inserts`, `probability`, `seed` as in `Fault`."""
        fault = Fault(kind, value, **when)  # type: ignore[arg-type]  # the fault's own fields
        httpx.post(f"{self._url}/faults", json=fault.to_json(), timeout=30).raise_for_status()

    def pending(self) -> int:
        """Faults of so many requests that have not befallen all of them yet."""
        return int(httpx.get(f"{self._url}/faults", timeout=30).raise_for_status().text)

    def clear(self) -> None:
        httpx.delete(f"{self._url}/faults", timeout=30).raise_for_status()

    @contextmanager
    def faulty(self, kind: Kind, value: float = 0, **when: object) -> Iterator[None]:
        """A fault that is over when the block is left."""
        self.fault(kind, value, **when)
        try:
            yield
        finally:
            self.clear()

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._url}/ping", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False
