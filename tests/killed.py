"""A loader that is killed at a named step, within the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from forebay.steps import STEPS, on_step

LOADER_STEPS = [step for step in STEPS if step.startswith("loader.")]


class Killed(BaseException):
    """Ends the loader where it stands, as SIGKILL would; only the journal and the store remain."""


def kill_at(step: str, occurrence: int = 1) -> None:
    """At the nth time that the step is reached."""
    left = occurrence

    def hook(reached: str) -> None:
        nonlocal left
        if reached == step:
            left -= 1
            if left == 0:
                raise Killed

    on_step(hook)


@contextmanager
def killed_at(step: str, occurrence: int = 1) -> Iterator[None]:
    """What is done inside must end there; whatever comes after it goes on undisturbed."""
    kill_at(step, occurrence)
    with pytest.raises(Killed):
        yield
    on_step(None)
