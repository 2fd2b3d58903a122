"""`forebay dead-letters` as an operator runs it: on one machine, killed in between, and on a fleet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.fleet import Fleet, loaded
from faults.member import Member
from faults.pipeline import Kill, Pipeline
from front.control import Front
from kafka.broker import Broker
from reports import report

from forebay.cli.dead_letters import shown
from forebay.core.record import SHAPES, TALLIES, TOPICS, encode
from forebay.datadir import open_directory
from forebay.journal.kafka import KafkaJournal
from forebay.journal.port import Journal, Message
from forebay.journal.sqlite import SqliteJournal
from forebay.settings import KafkaSettings

UNREADABLE = b"\x1b[31m\xff"
LATER = b'{"record":"tallies","v":2}'
REPORTS = 3


def put_aside(journal: Journal) -> None:
    """What a loader puts aside: bytes, a record of a later version, and reports where they do not belong."""
    now = int(time.time() * 1000)
    misplaced = [encode(report("acme", "agent", sequence, 10, received=now)) for sequence in range(1, REPORTS + 1)]
    journal.append([Message(TALLIES, "k", UNREADABLE), Message(TALLIES, "k", LATER)]).result()
    journal.append([Message(SHAPES, "k", raw) for raw in misplaced]).result()


def put_aside_on(pipeline: Pipeline) -> None:
    with open_directory(pipeline.data) as directory:
        journal = SqliteJournal(directory.journal, TOPICS)
        put_aside(journal)
        journal.close()


def verified(pipeline: Pipeline) -> Any:
    """`verify`, once nothing is left to load."""
    while pipeline.ask("status")["lag_records"]:
        time.sleep(0.05)
    return pipeline.ask("verify")


def dead_letters(url: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forebay", "dead-letters", *arguments]
    return subprocess.run(command, env={**os.environ, "FOREBAY_URL": url}, capture_output=True, timeout=60)


def read(url: str, *arguments: str) -> Any:
    return json.loads(dead_letters(url, *arguments, "--json").stdout)


def test_letters_are_listed_shown_and_replayed_from_the_command_line(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "data")
    put_aside_on(pipeline)
    pipeline.start()
    assert verified(pipeline)["compared"]["dead_letters"] == 2 + REPORTS
    url = pipeline.url
    listed = dead_letters(url, "list").stdout.decode()
    assert "forebay.tallies/0/0" in listed
    assert "replayable" in listed
    assert "3 older ones" in dead_letters(url, "list", "--limit", "2").stdout.decode()
    assert "wrong_topic" not in dead_letters(url, "list", "--reason", "undecodable").stdout.decode()

    shown = dead_letters(url, "show", "forebay.tallies/0/0").stdout
    assert b"00000000  1b 5b 33 31 6d ff" in shown
    assert b"\x1b" not in shown
    assert LATER in dead_letters(url, "show", "forebay.tallies/0/1").stdout
    assert dead_letters(url, "show", "forebay.tallies/0/0", "--raw").stdout == UNREADABLE

    dry = dead_letters(url, "replay", "--all", "--dry-run").stdout.decode()
    assert dry.startswith("would replay 3 letters\nrefused 2 letters")
    first = dead_letters(url, "replay", "--all")
    assert (first.returncode, first.stdout.decode().splitlines()[0]) == (1, "replayed 3 letters")
    assert verified(pipeline)["compared"]["requests"] == 10 * REPORTS
    again = dead_letters(url, "replay", "--all", "--reason", "wrong_topic")
    assert (again.returncode, again.stdout) == (
        0,
        b"replayed 0 letters\nleft out 3 letters that the store has by now\n",
    )
    forced = dead_letters(url, "replay", "forebay.tallies/0/0", "--force")
    assert (forced.returncode, forced.stdout) == (0, b"replayed 1 letter\n")
    assert verified(pipeline)["ok"]
    assert read(url, "list")["total"] == 3 + REPORTS
    assert pipeline.stop() == 0


@pytest.mark.parametrize(
    ("raw", "as_text"),
    [(b'{"name": "caf\xc3\xa9"}\n', True), (b"\x1b]0;title\x07", False), (b"a\xe2\x80\xaeb", False), (b"\xff", False)],
)
def test_only_what_can_not_act_on_a_terminal_is_shown_as_text(raw: bytes, as_text: bool) -> None:
    text = shown(raw)
    assert (text == raw.decode(errors="replace")) is as_text
    assert as_text or (raw.hex(" ") in text and text.isprintable())


@pytest.mark.parametrize("arguments", [
    ["replay"], ["replay", "forebay.tallies/0/0", "--all"], ["replay", "x", "--reason", "y"],
    ["show", "nothing"], ["show", "forebay.tallies/0/7"], ["replay", "forebay.tallies/0/7"], ["list", "--graph", "x"],
])  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(lone: Pipeline, arguments: list[str]) -> None:
    result = dead_letters(lone.url, *arguments)
    [line] = result.stderr.decode().splitlines()
    assert (result.returncode, line.startswith("forebay: ")) == (2, True)


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path_factory.mktemp("lone") / "data")
    pipeline.start()
    yield pipeline
    pipeline.kill()


@pytest.mark.parametrize("step", ["journal.begun", "journal.durable", "replay.appended"])
def test_killed_while_it_replays_and_asked_again_everything_counts_once(tmp_path: Path, step: str) -> None:
    pipeline = Pipeline(tmp_path / "data")
    put_aside_on(pipeline)
    pipeline.start()
    verified(pipeline)
    pipeline.kill()
    pipeline.start(Kill(step, 1))
    assert pipeline.healthy()  # nothing but the replay writes to the journal
    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{pipeline.url}/api/v1/dead-letters/replay", json={"all": True}, timeout=60)
    pipeline.process.join(timeout=60)
    assert pipeline.process.exitcode == -9, f"{step} was never reached"
    pipeline.start()
    assert dead_letters(pipeline.url, "replay", "--all").returncode == 1
    after = verified(pipeline)
    assert after["ok"], after
    assert after["compared"]["requests"] == 10 * REPORTS
    assert pipeline.stop() == 0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """On a broker of its own: a fleet's topics and group have fixed names."""
    broker = Broker(tmp_path / "kafka")
    front = Front(tmp_path / "clickhouse")
    front.start()
    fleet = Fleet(tmp_path, broker, front, "letters")
    yield fleet
    fleet.end()
    front.kill()
    broker.cluster.remove()


def test_a_fleet_replays_its_letters_and_each_counts_once(fleet: Fleet) -> None:
    assert fleet.run("topics", "apply").returncode == 0
    assert fleet.run("migrate").returncode == 0
    journal = KafkaJournal(KafkaSettings(brokers=fleet.environment["FOREBAY_KAFKA_BROKERS"]), TOPICS)
    put_aside(journal)
    journal.close()
    fleet.start("load")
    console: Member = fleet.start("console")
    assert loaded(console)["compared"]["dead_letters"] == 2 + REPORTS
    assert read(console.url, "list")["total"] == 2 + REPORTS
    for _ in range(2):
        assert read(console.url, "replay", "--all")["refused"] == 2
    after = loaded(console)
    assert after["ok"], after
    assert after["compared"]["requests"] == 10 * REPORTS
    assert {each["now"] for each in read(console.url, "list", "--reason", "wrong_topic")["letters"]} == {"landed"}
