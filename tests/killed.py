"""A loader that is killed at a named step, within the test's own process."""

from __future__ import annotations

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
