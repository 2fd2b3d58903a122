"""Requests over time as bars, in the units of an SVG that CSS colours and stretches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from ..insights.answers import RequestsOverTime

HEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class Bar:
    """`x` and `width` are in steps, heights out of HEIGHT, measured from the top as SVG does."""

    x: float
    width: float
    top: float
    height: float
    error_height: float
    time: datetime
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class Chart:
    """`marks`: values of the horizontal lines with their distance from the top, highest first."""

    bars: tuple[Bar, ...]
    steps: int
    marks: tuple[tuple[int, float], ...]
    since: datetime
    middle: datetime
    until: datetime


def chart(answer: RequestsOverTime) -> Chart:
    """Bars on a scale that ends at a round number."""
    most = max((moment.requests for moment in answer.moments), default=0)
    ceiling = _round_up(most)
    bars = tuple(
        Bar(
            x=number + 0.1,
            width=0.8,
            top=HEIGHT - HEIGHT * moment.requests / ceiling,
            height=HEIGHT * moment.requests / ceiling,
            error_height=HEIGHT * moment.errors / ceiling,
            time=moment.time,
            requests=moment.requests,
            errors=moment.errors,
        )
        for number, moment in enumerate(answer.moments)
    )
    since, until = answer.about.since, answer.about.until
    marks = ((ceiling, 0.0), (ceiling // 2, HEIGHT / 2)) if ceiling > 1 else ((ceiling, 0.0),)
    return Chart(bars, len(bars), marks, since, since + (until - since) / 2, until)


def _round_up(most: int) -> int:
    """The next of 1, 2, 4, 5, 6, 8 or 10 times a power of ten."""
    if most <= 1:
        return 1
    unit = int(10 ** math.floor(math.log10(most)))
    return next(factor * unit for factor in (1, 2, 4, 5, 6, 8, 10) if factor * unit >= most)
