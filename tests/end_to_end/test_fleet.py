"""The fleet on a real Kafka: killed and stopped under load, every acknowledged report counts once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from end_to_end.fleet import Fleet, loaded
from faults.load import Agent
from front.control import Front
from kafka.broker import Broker


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path / "clickhouse")
    front.start()
    yield front
    front.kill()


@pytest.fixture
def fleet(tmp_path: Path, broker: Broker, front: Front) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, broker, front, "forebay")
    yield fleet
    fleet.end()


@pytest.mark.timeout(400)
def test_collectors_and_loaders_killed_under_load_lose_nothing_and_double_nothing(fleet: Fleet) -> None:
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
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(4):
        time.sleep(chance.uniform(1, 3))
        for member in (chance.choice(loaders), chance.choice(collectors)):
            member.kill()
            member.start()
    time.sleep(2)
    for agent in agents:
        agent.finish()
    verified = loaded(console)
    assert verified["ok"], (seed, verified)
    answer = httpx.get(f"{console.url}/api/v1/clients?coordinate=Query.load&window=1d", timeout=60).json()
    totals: dict[str, int] = {}
    for use in answer["uses"]:
        totals[use["client"]] = totals.get(use["client"], 0) + use["requests"]
    assert totals == {agent.name: agent.requests for agent in agents}, seed
    assert all("everything acknowledged is in Kafka" in collector.stop() for collector in collectors)
    assert all("Kafka keeps the rest" in loader.stop() for loader in loaders)
    assert console.stop() == f"the page is on {console.url}\nstopped\n"
