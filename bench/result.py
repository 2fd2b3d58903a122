"""One line of the table: a number, what it is compared with, and whether its target holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """`against` says what `value` is a ratio or a part of; without a target it is information."""

    name: str
    value: float
    unit: str
    against: str
    target: str | None = None
    holds: bool | None = None


def at_least(target: float, name: str, value: float, unit: str, against: str) -> Result:
    return Result(name, value, unit, against, f"≥ {target:g}", value >= target)


def at_most(target: float, name: str, value: float, unit: str, against: str) -> Result:
    return Result(name, value, unit, against, f"≤ {target:g}", value <= target)
