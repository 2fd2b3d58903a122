"""Faults in looking at what passes: counted by step, logged seldom, and never raised into the traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from .. import metrics
from ..agent.faults import Faults

P = ParamSpec("P")

_faults = Faults()


def note(step: str, what: Exception) -> None:
    metrics.ROUTER_FAULTS.labels(step).inc()
    _faults.note(f"router {step}", what)


def quietly(step: Callable[P, None]) -> Callable[P, None]:
    """What fails in this step is noted, and nothing else happens."""

    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            step(*args, **kwargs)
        except Exception as exc:
            note(step.__name__, exc)

    return tried
