"""What a check answers.  Field by field in docs/checks.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .answers import About, Verdict
from .place_changes import Severity


class Outcome(StrEnum):
    """Of a whole check."""

    SAFE = "safe"
    BREAKS = "breaks"
    UNKNOWN = "unknown"


class FailOn(StrEnum):
    """What a check is to fail for: breaking changes in use; those and what can't be known; every breaking change."""

    USED = "used"
    UNKNOWN = "unknown"
    BREAKING = "breaking"


@dataclass(frozen=True, slots=True)
class CheckedOperation:
    """An operation that a change affects, or may affect, with its requests in the window."""

    name: str
    operation: str
    requests: int
    clients: tuple[str, ...]
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class CheckedChange:
    """`verdict` is about traffic: used means that requests are affected.  `passed`: why others were let pass."""

    id: str
    kind: str
    coordinate: str
    detail: str
    message: str
    severity: Severity
    verdict: Verdict
    reasons: tuple[str, ...]
    passed: tuple[str, ...]
    requests: int
    last_seen: datetime | None
    operations: tuple[CheckedOperation, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """`exit_code` is for continuous integration; `left_out`: requests of excluded clients and operations.

    `unjudged`: so many more operations are concerned, of which none could change a verdict: what is
    used may be used by them too.
    """

    about: About
    verdict: Outcome
    exit_code: int
    left_out: int
    unjudged: int
    changes: tuple[CheckedChange, ...]


def rank(change: CheckedChange) -> tuple[int, int]:
    """The worst first."""
    verdicts = (Verdict.USED, Verdict.UNKNOWN, Verdict.UNUSED)
    return list(Severity).index(change.severity), verdicts.index(change.verdict)


def exit_code(outcome: Outcome, changes: tuple[CheckedChange, ...], fail_on: FailOn) -> int:
    """0: passes; 1: breaks someone, or whatever it is to fail for; 3: can't know."""
    breaking = any(change.severity is Severity.BREAKING for change in changes)
    if outcome is Outcome.BREAKS or (fail_on is FailOn.BREAKING and breaking):
        return 1
    return 3 if outcome is Outcome.UNKNOWN and fail_on is not FailOn.USED else 0
