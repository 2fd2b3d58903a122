"""A collector whose journal comes and goes: always acknowledging, killed at every step, exact in the end."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from collector.ailing import MOODS
from faults.load import Agent
from faults.pipeline import Kill
from kills.spilling import SpillingCollector

from forebay.core import wire
from forebay.core.record import TOPICS
from forebay.journal.port import Partition
from forebay.journal.sqlite import SqliteJournal
from forebay.loader.loop import Loader
from forebay.loader.pace import Pace
from forebay.steps import STEPS
from forebay.store.port import Store

KILLS = 60
runs = itertools.count()


@contextmanager
def moody(collector: SpillingCollector, seconds: float = 0.3) -> Iterator[None]:
    """The journal is well and ill in turn, each time in another way."""
    stopping = threading.Event()

    def run() -> None:
        for mood in itertools.cycle([each for ill in MOODS[1:] for each in (ill, "well")]):
            collector.mood(mood)
            if stopping.wait(seconds * random.uniform(0.5, 1.5)):
                break
        collector.mood("well")

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stopping.set()
    thread.join()


def check(store: Store, collector: SpillingCollector, agents: list[Agent]) -> int:
    """Load everything: totals are exact, and each repeat is known as one.  How many there were."""
    journal = SqliteJournal(collector.journal, TOPICS)
    graph, pipeline = collector.folder.name, f"spill-{next(runs)}"
    Loader(journal.consumer(pipeline, TOPICS), store, pipeline, Pace(), time.monotonic).drain()
    where = "WHERE graph = {graph:String} AND org = 'acme'"
    rows = store.query(f"SELECT client, sum(requests) AS n FROM traffic {where} GROUP BY client", {"graph": graph})
    assert {row["client"]: row["n"] for row in rows} == {agent.name: agent.requests for agent in agents}
    [ledger] = store.query(
        "SELECT sum(repeats) AS repeats, sum(records) AS records FROM ledger"
        f" {where} AND topic = 'forebay.tallies' AND pipeline = {{pipeline:String}}",
        {"graph": graph, "pipeline": pipeline},
    )
    appended = journal.bounds(Partition("forebay.tallies", 0)).high
    assert ledger["records"] == appended
    assert appended - ledger["repeats"] == sum(agent.reports for agent in agents)
    journal.close()
    return int(ledger["repeats"])


def started(tmp_path: Path, agents: int, pause: float = 0.0) -> tuple[SpillingCollector, list[Agent]]:
    collector = SpillingCollector(tmp_path)
    return collector, [Agent(f"agent-{n}", collector.port, collector.token(), pause) for n in range(agents)]


@pytest.mark.parametrize("mood", [mood for mood in MOODS if mood not in ("well", "slow")])
def test_the_route_keeps_answering_while_the_journal_is_away_and_totals_are_exact_when_it_is_back(
    store: Store, tmp_path: Path, mood: str
) -> None:
    collector, agents = started(tmp_path, 3, pause=0.002)
    collector.start()
    for agent in agents:
        agent.start()
    while not all(agent.reports for agent in agents):
        time.sleep(0.01)
    failures = sum(agent.failures for agent in agents)
    collector.mood(mood)
    before = sum(agent.reports for agent in agents)
    time.sleep(2)
    while sum(agent.reports for agent in agents) <= before + 100:
        time.sleep(0.01)
    assert collector.metric("forebay_spill_records") > 0
    assert collector.metric("forebay_spill_bytes") > 0
    assert collector.metric("forebay_spill_oldest_seconds") > 0.5
    time.sleep(0.5)
    collector.mood("well")
    time.sleep(0.5)
    for agent in agents:
        agent.finish()
    collector.drained()
    assert sum(agent.failures for agent in agents) == failures, "every answer was 200"
    assert collector.metric("forebay_spilled_total") > 0
    collector.stop()
    repeats = check(store, collector, agents)
    assert mood in ("away", "lost") or repeats > 0


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith("spill.")])
def test_killed_at_each_step_and_started_again_totals_are_exact(store: Store, tmp_path: Path, step: str) -> None:
    collector, agents = started(tmp_path, 2)
    collector.start(Kill(step, nth=2))
    for agent in agents:
        agent.start()
    with moody(collector):
        collector.process.join(timeout=60)
        assert collector.process.exitcode == -9, f"{step} was never reached"
        collector.start()
        time.sleep(0.5)
    for agent in agents:
        agent.finish()
    collector.drained()
    collector.stop()
    check(store, collector, agents)


@pytest.mark.timeout(600)
def test_random_kills_under_load_before_an_ailing_journal_lose_nothing_and_double_nothing(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    collector, agents = started(tmp_path, 4)
    for agent in agents:
        agent.start()
    with moody(collector, 0.2):
        for _ in range(KILLS):
            collector.start(Kill(None, nth=chance.randint(1, 400)))
            collector.process.join(timeout=chance.uniform(0.2, 3))
            collector.kill()
        collector.start()
    for agent in agents:
        agent.finish()
    collector.drained()
    collector.stop()
    repeats = check(store, collector, agents)
    with capsys.disabled():  # standard error, since a worker's output goes nowhere
        reports = sum(agent.reports for agent in agents)
        print(f"\n{KILLS} kills, seed {seed}: {reports} reports, {repeats} repeats, 0 lost, 0 doubled", file=sys.stderr)


def test_a_full_spill_is_a_503_that_says_when_to_come_again_and_is_counted(store: Store, tmp_path: Path) -> None:
    collector, [agent] = started(tmp_path, 1)
    collector.mood("away")
    collector.start(total_bytes=3_000)
    agent.start()
    while not agent.reports:
        time.sleep(0.01)
    while collector.metric('forebay_refused_total{protocol="native",reason="spill_full"}') < 20:
        time.sleep(0.05)
    headers = {"authorization": f"Bearer {collector.token()}", "content-type": "application/json"}
    body = b'{"sdl": "type Query { a(%s: Int): Int }"}' % (b"b" * 3_000)
    answer = httpx.post(f"http://127.0.0.1:{collector.port}/v1/schemas", content=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "spill_full", "10")
    collector.mood("well")
    agent.finish()
    collector.drained()
    assert httpx.post(f"http://127.0.0.1:{collector.port}{wire.PATH}", content=b"{", headers=headers).status_code == 400
    collector.stop()
    check(store, collector, [agent])
