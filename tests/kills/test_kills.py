"""SIGKILL at every step, and at random under load: nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from faults.load import Agent
from faults.pipeline import Fail, Kill, Pipeline

from forebay.steps import STEPS

KILLS = 200


def everything_loaded(pipeline: Pipeline) -> Any:
    """`verify`, once nothing is left to load."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = pipeline.ask("status")
        if all(stage["lag_records"] == 0 for stage in status["journal"]):
            return pipeline.ask("verify")
        time.sleep(0.05)
    raise TimeoutError("the backlog was not loaded")


def totals(pipeline: Pipeline) -> dict[str, int]:
    """Requests of each client (an agent's name), as the product answers."""
    answer = pipeline.ask("clients?coordinate=Query.load&window=1d")
    found: dict[str, int] = {}
    for use in answer["uses"]:
        found[use["client"]] = found.get(use["client"], 0) + use["requests"]
    return found


def errors(pipeline: Pipeline) -> dict[str, int]:
    """The errors of each client; its agent reports one of each request."""
    uses = pipeline.ask("errors?coordinate=Query.load&window=1d")["uses"]
    return {use["client"]: use["errors"] for use in uses}


def check(pipeline: Pipeline, agents: list[Agent]) -> None:
    verification = everything_loaded(pipeline)
    assert verification["ok"], verification
    assert totals(pipeline) == errors(pipeline) == {agent.name: agent.requests for agent in agents}


@pytest.mark.parametrize("step", [step for step in STEPS if not step.startswith(("spill.", "rebuild.", "replay."))])
def test_killed_at_each_step_and_started_again_totals_are_exact(tmp_path: Path, step: str) -> None:
    pipeline = Pipeline(tmp_path / "data")
    pause = 1.0 if step == "loader.confirmed" else 0.0  # which happens only when the loader has nothing to do
    agents = [Agent(f"agent-{n}", pipeline.port, pipeline.token(), pause) for n in range(2)]
    pipeline.start(Kill(step, nth=2))
    for agent in agents:
        agent.start()
    pipeline.process.join(timeout=60)
    assert pipeline.process.exitcode == -9, f"{step} was never reached"
    pipeline.start()
    time.sleep(0.3)
    for agent in agents:
        agent.finish()
    check(pipeline, agents)
    assert pipeline.stop() == 0


def test_a_loader_that_stops_is_shown_and_begins_again_while_collecting_goes_on(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "data")
    agent = Agent("agent", pipeline.port, pipeline.token(), pause=0.01)
    pipeline.start(Fail("loader.prepared", times=20))
    agent.start()
    while "made to stop" not in pipeline.ask("status")["loader"]["trouble"]:
        time.sleep(0.01)
    reports = agent.reports
    while agent.reports < reports + 5:
        time.sleep(0.01)
    agent.finish()
    check(pipeline, [agent])
    assert pipeline.ask("status")["loader"]["trouble"] == ""
    assert pipeline.stop() == 0


@pytest.mark.timeout(900)
def test_random_kills_under_load_lose_nothing_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    pipeline = Pipeline(tmp_path / "data")
    agents = [Agent(f"agent-{n}", pipeline.port, pipeline.token()) for n in range(4)]
    for agent in agents:
        agent.start()
    for _ in range(KILLS):
        pipeline.start(Kill(None, nth=chance.randint(1, 60)), wait=False)
        pipeline.process.join(timeout=chance.uniform(0.2, 3))
        pipeline.kill()
    pipeline.start()
    for agent in agents:
        agent.finish()
    check(pipeline, agents)
    assert pipeline.stop() == 0
    with capsys.disabled():  # standard error, since a worker's output goes nowhere
        reports, attempts = sum(a.reports for a in agents), sum(a.attempts for a in agents)
        print(
            f"\n{KILLS} kills, seed {seed}: {reports} reports in {attempts} attempts, 0 lost, 0 doubled",
            file=sys.stderr,
        )
