"""Real hosts before a real `forebay up`, with everything in between that can go wrong: the ledgers agree exactly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from busy_host import Ledger
from faults.pipeline import Pipeline
from faulty_proxy import Proxy, faulty_proxy

HOST = Path(__file__).with_name("busy_host.py")
RATE = 2_000
INTERVAL = 0.3


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path_factory.mktemp("outages") / "data")
    pipeline.start()
    yield pipeline
    assert pipeline.stop() == 0


@pytest.fixture
def proxy(pipeline: Pipeline) -> Iterator[Proxy]:
    with faulty_proxy(pipeline.port) as proxy:
        yield proxy


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    yield
    for process in started:
        if process.poll() is None:  # of a test that failed
            process.kill()
            process.communicate()
    started.clear()


class Host:
    """A process of busy_host.py."""

    def __init__(
        self, url: str, token: str, ledger: Path, spool: Path | None = None, interval: float = INTERVAL
    ) -> None:
        command = [sys.executable, str(HOST), str(ledger), str(RATE), str(interval), *([str(spool)] if spool else [])]
        environment = {**os.environ, "FOREBAY_URL": url, "FOREBAY_TOKEN": token}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(self.process)
        while not ledger.exists() or not ledger.stat().st_size:
            time.sleep(0.01)
        self.ledger = Ledger(ledger)

    def end(self) -> dict[str, Any]:
        """As SIGTERM does; what it said of itself."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return dict(json.loads(output))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def newest(directory: Path) -> int:
    """When a file was written last, in ns."""
    return max((path.stat().st_mtime_ns for path in directory.rglob("*.spool")), default=0)


def counted(pipeline: Pipeline, graph: str) -> dict[str, int]:
    """Requests by client, once all that was acknowledged is in the store."""
    while any(lag["lag_records"] for lag in pipeline.ask("status")["journal"]):
        time.sleep(0.05)
    uses = pipeline.ask(f"clients?org=acme&graph={graph}&coordinate=Query.a&window=1d&limit=100000")["uses"]
    total: Counter[str] = Counter()
    for use in uses:
        total[use["client"]] += use["requests"]
    return dict(total)


def test_whatever_is_between_a_host_and_its_collector_nothing_is_lost_and_nothing_doubled(
    pipeline: Pipeline, proxy: Proxy, tmp_path: Path
) -> None:
    host = Host(proxy.url, pipeline.token(graph="faults"), tmp_path / "ledger")
    for fault in ("away", "cut", "429", "503", "404", "200", "wrong JSON", "garbage", "half", "slow"):
        proxy.meets(fault, times=2)
    proxy.fault = "small"
    proxy.until(lambda: proxy.seen["small", 413], 2)
    proxy.until(lambda: proxy.seen["small", 200], 2)
    proxy.meets("cut")
    pipeline.kill()
    proxy.until(lambda: proxy.seen["", 502], 2)
    pipeline.start()
    proxy.until(lambda: proxy.seen["", 200], 2)
    proxy.meets("cut")
    said = host.end()
    assert counted(pipeline, "faults") == host.ledger.clients()
    assert (said["recorded"], said["pending"], said["lost"]) == (host.ledger.total(), 0, {})


def test_sigkill_in_an_outage_loses_one_interval_with_a_spool(pipeline: Pipeline, proxy: Proxy, tmp_path: Path) -> None:
    token = pipeline.token(graph="killed")
    first = Host(proxy.url, token, tmp_path / "one", spool=tmp_path / "spool")
    proxy.until(lambda: proxy.seen["", 200], 2)
    proxy.fault = "cut"
    proxy.until(lambda: proxy.seen["cut", 0], 3)
    for _ in range(2):  # the second time, it began after the first had ended
        saved = time.time()
        proxy.until(lambda: newest(tmp_path / "spool"), 1)
    time.sleep(INTERVAL / 2)
    first.kill()
    proxy.fault = ""
    second = Host(proxy.url, token, tmp_path / "two", spool=tmp_path / "spool")
    proxy.until(lambda: proxy.seen["", 200], 3)
    said = second.end()
    assert (said["pending"], said["lost"]) == (0, {})
    recorded = first.ledger.total() + second.ledger.total()
    lost = recorded - sum(counted(pipeline, "killed").values())
    assert 0 <= lost <= first.ledger.since(saved) + 2  # slots overlap; one may be noted and not recorded
