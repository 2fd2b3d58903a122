"""The agent's steps, to be broken on purpose: a host's answers stay what they are whichever fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from forebay.agent.exporter import Exporter
from forebay.agent.extract import Extractor
from forebay.agent.integrations import reporters
from forebay.agent.integrations.reporters import Reporters
from forebay.agent.outcomes import Outcomes, Sample, Sampling
from forebay.agent.post import Post
from forebay.agent.recorder import Recorder
from forebay.agent.reporter import Reporter
from forebay.agent.worker import Worker

STEPS: tuple[tuple[Any, str], ...] = (
    (Reporters, "count"),
    (reporters, "asgi_headers"),
    (Reporters, "_new_reporter"),
    (Reporter, "__init__"),
    (Reporter, "count"),
    (Recorder, "record"),
    (Recorder, "analyse"),
    (Recorder, "take"),
    (Outcomes, "failed"),
    (Outcomes, "analyse"),
    (Outcomes, "take"),
    (Extractor, "operation"),
    (Extractor, "places"),
    (Worker, "start"),
    (Exporter, "step"),
    (Post, "__call__"),
)

SAMPLING_STEPS: tuple[tuple[Any, str], ...] = ((Sampling, "draw"), (Sample, "add"), (Outcomes, "executed"))
"""Of integrations that count resolver executions."""


def name_of(step: tuple[Any, str]) -> str:
    return f"{step[0].__name__}.{step[1]}"


def wait_for(reached: list[str]) -> None:
    """Steps of the background take a moment."""
    deadline = time.monotonic() + 10
    while not reached and time.monotonic() < deadline:
        time.sleep(0.005)
    assert reached


class Broken(Exception):
    """What a broken step raises."""


@contextmanager
def broken(step: tuple[Any, str]) -> Iterator[list[str]]:
    """The step raises; the list holds its name once for each time that it was reached."""
    reached: list[str] = []

    def fail(*_: Any, **__: Any) -> Any:
        reached.append(name_of(step))
        raise Broken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*step, fail)
        yield reached
