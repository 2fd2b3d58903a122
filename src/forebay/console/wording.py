"""Numbers, times and spans as people read them; filters of the page's templates."""

from __future__ import annotations

from datetime import datetime


def count(number: int) -> str:
    """`950`, `12,400`, `3.2 M`."""
    for size, letter in ((10**9, "G"), (10**6, "M")):
        if number >= 10 * size:
            return f"{number / size:,.0f} {letter}"
        if number >= size:
            return f"{number / size:.1f} {letter}"
    return f"{number:,}"


def percent(share: float) -> str:
    """Small shares keep a digit that is not zero; only none is `0 %`, only all is `100 %`."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.0001:
        return "< 0.01 %"
    if share > 0.999:
        return "> 99.9 %"
    digits = 2 if share < 0.001 else 1 if share < 0.1 else 0
    return f"{min(share, 0.99 if digits == 0 else 1):.{digits}%}".replace("%", " %")


def span(seconds: float | None) -> str:
    """`840 µs`, `19 ms`, `2.4 s`, `3 min`, `5 h`, `2 days`; a dash for what nobody reported."""
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, word in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit or unit == 60:
            return f"{seconds / unit:.0f} {word}"
    raise AssertionError("every span has a unit")


def moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "never"


def ago(time: datetime | None, now: datetime) -> str:
    """`just now`, `4 min ago`, `never`."""
    if time is None:
        return "never"
    seconds = (now - time).total_seconds()
    return "just now" if seconds < 60 else f"{span(seconds)} ago"
