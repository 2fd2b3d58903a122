"""`forebay rebuild` as an operator runs it: on one machine and on a fleet, killed at each step."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.command import Totals, killed, traffic, traffic_in
from faults.fleet import Fleet, loaded
from faults.pipeline import Pipeline
from front.control import Front
from front.faults import Kind
from kafka.broker import Broker
from reports import minute_of, report, shape, shape_record

from forebay.core.record import SHAPES, TALLIES, TOPICS, encode
from forebay.core.tally import Tallies
from forebay.datadir import open_directory
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Journal, Message
from forebay.journal.sqlite import SqliteJournal
from forebay.settings import KafkaSettings
from forebay.steps import STEPS
from forebay.store.clickhouse import ClickHouse

STEPS_OF_REBUILD = [step for step in STEPS if step.startswith("rebuild.")]
QUERY = shape("Q", "Query.a")
TODAY = datetime.now(UTC).date()
DAYS = ["--from", str(TODAY - timedelta(days=2)), "--to", str(TODAY - timedelta(days=1))]


def put(journal: Journal) -> Totals:
    """Reports of six agents with tallies of four days, repeats and dead letters; what is to be counted."""
    now = int(time.time() * 1000)
    expected: Totals = {}
    journal.append([Message(SHAPES, "s", encode(shape_record("acme", QUERY, "shop", received=now)))]).result()
    for number in range(6):
        agent = f"agent-{number}"
        messages = []
        for sequence in range(1, 21):
            late = sequence % 4
            tallies: Tallies = {
                (minute_of(now) - 1440 * day, "v", QUERY.id(), agent, "1", 200): (sequence, 0, {10: sequence})
                for day in {0, late}
            }
            raw = encode(report("acme", agent, sequence, graph="shop", tallies=tallies, received=now))
            messages += [Message(TALLIES, agent, raw)] * (2 if sequence % 5 == 0 else 1)
            for day in {0, late}:
                key = agent, TODAY - timedelta(days=day)
                expected[key] = expected.get(key, 0) + sequence
        journal.append([*messages, Message(TALLIES, agent, b"no record")]).result()
    return expected


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forebay", "rebuild", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


def verified(pipeline: Pipeline) -> Any:
    while pipeline.ask("status")["lag_records"]:
        time.sleep(0.05)
    return pipeline.ask("verify")


@pytest.mark.timeout(600)
def test_on_one_machine_killed_at_each_step_and_run_again_every_total_is_the_same(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "data")
    with open_directory(pipeline.data) as directory:
        journal = SqliteJournal(directory.journal, TOPICS)
        expected = put(journal)
        journal.close()
    pipeline.start()
    assert verified(pipeline)["ok"]
    data = ["--data", str(pipeline.data)]
    running = run(*DAYS, *data, "--yes")
    assert running.returncode == 1
    assert "another Forebay is running" in running.stderr
    assert pipeline.stop() == 0

    planned = run(*DAYS, *data)
    assert (planned.returncode, "nothing was changed" in planned.stdout) == (0, True)
    for step in STEPS_OF_REBUILD:
        killed(["rebuild", *DAYS, *data, "--yes"], {}, step)
        if step == "rebuild.emptied":
            pipeline.start()
            while not (trouble := pipeline.ask("status")["loader"]["trouble"]):
                time.sleep(0.05)
            assert trouble == pipeline.ask("status")["rebuild"]
            assert trouble.endswith("is unfinished: run it again")
            assert "rebuild" in pipeline.ask("operations?window=7d")["about"]["reasons"]
            pipeline.kill()
    done = run(*DAYS, *data, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rebuilt" in done.stdout
    assert traffic_in(pipeline.data / "store") == expected
    pipeline.start()
    assert verified(pipeline)["ok"]
    assert pipeline.ask("status")["rebuild"] == ""
    assert pipeline.stop() == 0


@pytest.mark.parametrize("arguments", [
    [], ["--from", "2026-07-01"], ["--from", "yesterday", "--to", "2026-07-01"], ["--give-up", "--yes"],
    ["--from", "2026-07-02", "--to", "2026-07-01"], ["--from", "2026-07-01", "--to", "2999-07-01"],
    ["--from", "1999-07-01", "--to", "1999-07-01"], ["--give-up", *DAYS],
])  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    result = run(*arguments, "--data", str(tmp_path))
    [line] = result.stderr.splitlines()
    assert (result.returncode, line.startswith("forebay: ")) == (2, True)


def test_where_there_is_no_data_none_is_made(tmp_path: Path) -> None:
    result = run(*DAYS, "--data", str(tmp_path / "nothing"))
    assert result.returncode == 1
    assert "is no data directory" in result.stderr
    assert not (tmp_path / "nothing").exists()


@pytest.fixture
def fleet(tmp_path: Path, front: Front) -> Iterator[Fleet]:
    """On a broker of its own: a fleet's topics and group have fixed names."""
    broker = Broker(tmp_path / "kafka")
    fleet = Fleet(tmp_path, broker, front, "rebuilt")
    yield fleet
    fleet.end()
    broker.cluster.remove()


@pytest.mark.timeout(600)
def test_on_a_fleet_killed_at_each_step_and_run_again_every_total_is_the_same(fleet: Fleet, front: Front) -> None:
    assert fleet.run("topics", "apply").returncode == 0
    assert fleet.run("migrate").returncode == 0
    journal = KafkaJournal(KafkaSettings(brokers=fleet.environment["FOREBAY_KAFKA_BROKERS"]), TOPICS)
    expected = put(journal)
    assert sum(journal.bounds(partition).high > 0 for partition in journal.partitions(TALLIES)) > 1
    loader, console = fleet.start("load"), fleet.start("console")
    assert loaded(console)["ok"]
    refused = fleet.run("rebuild", *DAYS, "--yes")
    assert refused.returncode == 1
    assert "stop all loaders first" in refused.stderr
    assert loaded(console)["ok"]
    loader.kill()
    while journal.members("forebay-loader"):
        time.sleep(0.1)

    for step in STEPS_OF_REBUILD:
        while journal.members("forebay-loader"):  # the one that was killed at the step before
            time.sleep(0.1)
        killed(["rebuild", *DAYS, "--yes"], fleet.environment, step)
        if step == "rebuild.emptied":
            waiting = fleet.start("load")
            while (health := httpx.get(f"{waiting.url}/health", timeout=5)).status_code == 200:
                time.sleep(0.05)
            assert health.json()["status"].endswith("is unfinished: run it again")
            assert not httpx.get(f"{console.url}/api/v1/verify", timeout=60).json()["ok"]
            waiting.kill()
    while journal.members("forebay-loader"):
        time.sleep(0.1)
    journal.close()
    front.fault(Kind.EXCEPTION, 252, times=2)
    front.fault(Kind.CUT_AFTER, 0, times=1)
    done = fleet.run("rebuild", *DAYS, "--yes")
    front.clear()
    assert (done.returncode, done.stderr) == (0, "")
    store = ClickHouse(fleet.environment["FOREBAY_STORE_DSN"])
    assert traffic(store) == expected
    store.close()
    fleet.start("load")
    assert loaded(console)["ok"]
