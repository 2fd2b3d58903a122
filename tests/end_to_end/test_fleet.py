"""The fleet on a real Kafka, as an operator sets it up and ends it; for what befalls it see `tests/harness`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from faults.fleet import Fleet, ask, loaded
from faults.load import Agent
from faults.member import Full
from faults.pipeline import free_port
from front.control import Front
from front.faults import Kind
from kafka.broker import Broker


@pytest.fixture
def fleet(tmp_path: Path, broker: Broker, front: Front) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, broker, front, "forebay")
    yield fleet
    fleet.end()


@pytest.mark.parametrize(
    ("command", "without", "complaint"),
    [
        ("collect", "FOREBAY_SIGNING_KEYS", "share their signing keys"),
        ("collect", "FOREBAY_KAFKA_BROKERS", "FOREBAY_KAFKA_BROKERS"),
        ("load", "FOREBAY_STORE_DSN", "FOREBAY_STORE_DSN"),
        ("topics check", "FOREBAY_KAFKA_BROKERS", "FOREBAY_KAFKA_BROKERS"),
        ("migrate", "FOREBAY_STORE_DSN", "FOREBAY_STORE_DSN"),
        ("migrate --pull kafka-engine", "FOREBAY_KAFKA_BROKERS", "FOREBAY_KAFKA_BROKERS"),
    ],
)
def test_what_is_missing_is_one_clear_line(
    tmp_path: Path, broker: Broker, command: str, without: str, complaint: str
) -> None:
    fleet = Fleet(tmp_path, broker, Front(tmp_path), "forebay")
    del fleet.environment[without]
    data = ["--data", str(tmp_path / "data"), "--port", str(free_port())] if command in ("collect", "load") else []
    result = fleet.run(*command.split(), *data)
    [line] = result.stderr.strip().splitlines()
    assert (result.returncode, line.startswith("forebay: "), complaint in line) == (2, True, True), line


def test_a_collector_that_starts_before_kafka_keeps_what_it_takes_in(tmp_path: Path, front: Front) -> None:
    """Nothing listens where the brokers should be: reports are acknowledged from the collector's own disk."""
    fleet = Fleet(tmp_path, None, front, "forebay")
    collector = fleet.start("collect")
    agent = Agent("early", collector.port, fleet.token())
    agent.start()
    while agent.reports < 2:
        time.sleep(0.1)
    agent.finish()
    assert f"{agent.reports} reports are left in {collector.data / 'spill'}" in collector.stop()


def test_a_disk_that_is_full_for_the_log_too_refuses_reports_and_stops_nothing(tmp_path: Path, front: Front) -> None:
    """Standard error is a file on the disk of the spill, as it often is: what can't be told is dropped."""
    fleet = Fleet(tmp_path, None, front, "forebay")
    collector = fleet.start("collect")
    collector.order(Full(1))
    agent = Agent("patient", collector.port, fleet.token())
    agent.start()
    while agent.refusals < 3:
        time.sleep(0.05)
    assert agent.reports == 0
    collector.order(Full(None))
    while agent.reports < 2:
        time.sleep(0.05)
    agent.finish()
    collector.kill()


def test_status_tells_what_it_can_while_clickhouse_or_kafka_is_away(fleet: Fleet, broker: Broker, front: Front) -> None:
    """And what each process leaves when it is stopped meanwhile."""
    assert fleet.run("topics", "apply").returncode == 0
    assert fleet.run("migrate").returncode == 0
    collector, loader, console = fleet.start("collect"), fleet.start("load"), fleet.start("console")
    asked = ["status", "--url", console.url]

    def until(words: str) -> str:
        deadline = time.monotonic() + 90
        while words not in (said := fleet.run(*asked).stdout):
            assert time.monotonic() < deadline, said
            time.sleep(0.5)
        return said

    agent = Agent("agent", collector.port, fleet.token())
    agent.start()
    until("at most one insert in")
    with front.faulty(Kind.EXCEPTION, 242, times=None):
        assert "store: read_only" in until("the latest: read only")
    until("store: ok")
    front.kill()
    said = until("store: away")
    assert "forebay.tallies/0" in said
    assert "retention takes what is not loaded in 16" in said
    page = httpx.get(console.url, timeout=60)
    assert (page.status_code, "Store away:" in page.text) == (503, True)
    scraped = httpx.get(f"{console.url}/metrics", timeout=60).text
    assert 'forebay_store_state{state="away"} 1.0' in scraped
    assert "forebay_journal_up 1.0" in scraped
    agent.finish()
    loader.process.terminate()
    loader.process.join(timeout=60)
    assert loader.process.exitcode == 2
    front.start()
    until("store: ok")
    broker.cluster.kill(*broker.cluster.nodes())
    try:
        said = until("the journal does not tell what waits")
        assert "store: ok" in said
        assert "traffic" in said
    finally:
        broker.cluster.start()


def test_a_fleet_is_set_up_answers_and_ends_in_order(fleet: Fleet) -> None:
    assert "created forebay.tallies: 3 partitions" in fleet.run("topics", "apply").stdout
    assert fleet.run("topics", "apply").stdout == "nothing to do\n"
    checked = fleet.run("topics", "check")
    assert (checked.returncode, "replication 1" in checked.stdout) == (1, True), checked
    assert fleet.run("migrate").returncode == 0
    collectors = [fleet.start("collect") for _ in range(2)]
    loaders = [fleet.start("load") for _ in range(2)]
    console = fleet.start("console")
    agents = [Agent(f"agent-{n}", collectors[n % 2].port, fleet.token()) for n in range(6)]
    for agent in agents:
        agent.start()
    while any(agent.reports < 10 for agent in agents):
        time.sleep(0.01)
    for agent in agents:
        agent.finish()
    verified = loaded(console)
    assert 'forebay_lag_records{partition="0",topic="forebay.tallies"} 0.0' in httpx.get(f"{console.url}/metrics").text
    assert "forebay_loader_failing 0.0" in httpx.get(f"{loaders[0].url}/metrics").text
    assert verified["ok"], verified
    uses = ask(console, "clients?coordinate=Query.load&window=1d")["uses"]
    assert sum(use["requests"] for use in uses) == sum(agent.requests for agent in agents)
    assert all("everything acknowledged is in Kafka" in collector.stop() for collector in collectors)
    assert all("Kafka keeps 0 records for the next" in loader.stop() for loader in loaders)
    assert console.stop() == f"the page is on {console.url}\nstopped\n"
