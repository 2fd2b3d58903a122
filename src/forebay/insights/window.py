"""Windows of time, and the rollup that answers a question about one.

A rollup keeps time only as buckets, so a window's start is moved down to the start of a bucket:
an answer names the window that it is really about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .mistakes import BadQuestion

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Rollup(NamedTuple):
    """A table of tallies by `bucket`.  `kept`: everything younger is surely there, since rows go by
    whole days; `widest`: wider windows take a coarser rollup, where there is one."""

    table: str
    bucket: timedelta
    kept: timedelta
    widest: timedelta


ROLLUPS = (
    Rollup("requests_5m", timedelta(minutes=5), timedelta(days=13), timedelta(days=2)),
    Rollup("requests_1h", timedelta(hours=1), timedelta(days=99), timedelta(days=45)),
    Rollup("requests_1d", timedelta(days=1), timedelta(days=799), timedelta.max),
)
"""Finest first; `kept` is a day less than the TTL in the migrations."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` up to `until`, both UTC; `rollup` answers for it."""

    since: datetime
    until: datetime
    rollup: Rollup

    def kept(self, now: datetime) -> bool:
        """Does the rollup still hold all of it?"""
        return now - self.since <= self.rollup.kept + self.rollup.bucket


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `2w`; BadQuestion for anything else."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*([smhdw])\s*", text)
    if match is None or int(match[1]) == 0:
        raise BadQuestion(f"`{text[:40]}` is no window: write a number and one of s, m, h, d, w, as in `30d`")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise BadQuestion(f"`{text[:40]}` is too long a window") from None


def window(since: datetime, until: datetime, now: datetime) -> Window:
    """The finest rollup that still has `since` and is not too fine for the width."""
    if since >= until:
        raise BadQuestion("a window must start before it ends")
    rollup = next(
        (rollup for rollup in ROLLUPS if now - since <= rollup.kept and until - since <= rollup.widest), ROLLUPS[-1]
    )
    return Window(aligned(since, rollup.bucket), until, rollup)


def aligned(time: datetime, bucket: timedelta) -> datetime:
    """The start of the bucket that holds `time`."""
    seconds = int(time.timestamp()) // int(bucket.total_seconds()) * int(bucket.total_seconds())
    return datetime.fromtimestamp(max(seconds, 0), UTC)


def utc(time: datetime) -> datetime:
    """The store answers in UTC, without saying so."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
