"""A real collector in a process of its own: HTTP in front, a SQLite journal behind, nothing else."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from faults.pipeline import free_port, processes

from forebay.access import Identity, Scope, SigningKeys
from forebay.collector.admission import MIB, Limits
from forebay.core.record import TALLIES, Record, Report, decode

ORG = "acme"
COSMO = "/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/PublishAggregatedGraphQLMetrics"


@dataclass(slots=True)
class Server:
    folder: Path
    port: int
    process: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, graph: str, scope: Scope = Scope.WRITE, ttl: float = 3600) -> str:
        return SigningKeys.load(self.folder / "keys.json").create(Identity(ORG, graph, scope), ttl)

    def post(self, path: str, body: bytes, graph: str, **headers: str) -> httpx.Response:
        """A POST as the graph's agent; a header that is given as "" is left out."""
        sent = {"authorization": f"Bearer {self.token(graph)}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url + path, content=body, headers={n: v for n, v in sent.items() if v}, timeout=30)

    def records(self, graph: str, topic: str = TALLIES) -> list[Record]:
        """What is durable of one graph, as another process sees it."""
        with sqlite3.connect(self.folder / "journal.sqlite3") as journal:
            rows = journal.execute(f'SELECT value FROM "{topic}" ORDER BY offset').fetchall()
        return [record for (value,) in rows if (record := decode(value)).graph == graph]

    def requests(self, graph: str) -> int:
        return sum(sum(record.requests) for record in self.records(graph) if isinstance(record, Report))

    def refused(self, protocol: str, reason: str) -> float:
        """The counter of this refusal."""
        wanted = f'forebay_refused_total{{protocol="{protocol}",reason="{reason}"}}'
        lines = httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted)), 0.0)

    def memory(self) -> int:
        """Bytes resident in the server's process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def start(folder: Path) -> Server:
    SigningKeys.load(folder / "keys.json")
    server = Server(folder, free_port(), None)
    server.process = processes.Process(target=_run, args=(folder, server.port), daemon=True)
    server.process.start()
    for _ in range(300):
        try:
            httpx.get(f"{server.url}/health", timeout=5)
            return server
        except httpx.HTTPError:
            server.process.join(0.05)
    raise TimeoutError("the collector did not start")


def _run(folder: Path, port: int) -> None:
    import asyncio

    from starlette.applications import Starlette

    from forebay.collector.app import Collector
    from forebay.core.record import TOPICS
    from forebay.journal.sqlite import SqliteJournal
    from forebay.serving import Address, metrics_route, serve

    journal = SqliteJournal(folder / "journal.sqlite3", TOPICS)
    limits = Limits(compressed_bytes=MIB, plain_bytes=4 * MIB, entries=1_000, budget_bytes=64 * MIB)
    collector = Collector(journal, SigningKeys.load(folder / "keys.json"), limits)
    app = Starlette(routes=[*collector.routes(), metrics_route()])
    asyncio.run(serve(app, Address("127.0.0.1", port), started=lambda: None))
