"""A collector with a spill in a process of its own, before a journal that ails, killed where a test wants it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from collector.ailing import Ailing
from faults.pipeline import Fail, Kill, free_port, install, processes

from forebay.access import Identity, Scope, SigningKeys

AFTER = 0.2


@dataclass(slots=True)
class SpillingCollector:
    """Started and killed again and again on one folder; what is in `mood` there is how the journal is."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())
    process: Any = None

    def __post_init__(self) -> None:
        self.mood("well")

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite3"

    def mood(self, mood: str) -> None:
        fresh = self.folder / "mood.new"
        fresh.write_text(mood)
        fresh.rename(self.folder / "mood")

    def token(self) -> str:
        return SigningKeys.load(self.folder / "keys.json").create(Identity("acme", self.folder.name, Scope.WRITE), 3600)

    def start(self, fault: Kill | Fail | None = None, total_bytes: int = 2**30) -> None:
        self.token()
        self.process = processes.Process(target=_run, args=(self.folder, self.port, fault, total_bytes), daemon=True)
        self.process.start()

    def metric(self, name: str) -> float:
        lines = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)

    def drained(self) -> None:
        """Wait until the journal has everything."""
        deadline = time.monotonic() + 60
        while any((self.folder / "spill").glob("*.spill")):
            assert time.monotonic() < deadline, "the spill does not come to an end"
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(timeout=60)
        assert self.process.exitcode == 0


def _run(folder: Path, port: int, fault: Kill | Fail | None, total_bytes: int) -> None:
    import asyncio

    from starlette.applications import Starlette

    from forebay.collector.admission import Limits
    from forebay.collector.app import Collector
    from forebay.collector.spill import Spill
    from forebay.core.record import TOPICS
    from forebay.journal.sqlite import SqliteJournal
    from forebay.serving import Address, metrics_route, serve

    install(fault)
    journal = SqliteJournal(folder / "journal.sqlite3", TOPICS)
    ailing = Ailing(journal, lambda: (folder / "mood").read_text())
    spill = Spill(ailing, folder / "spill", AFTER, segment_bytes=20_000, total_bytes=total_bytes)
    collector = Collector(spill, SigningKeys.load(folder / "keys.json"), Limits())
    app = Starlette(routes=[*collector.routes(), metrics_route()])
    asyncio.run(serve(app, Address("127.0.0.1", port), started=lambda: None))
    spill.close()
    journal.close()
