"""Windows of time, and how finely the store still knows them.

The store merges what grows old into wider buckets of time, so a window's start is moved down to
the start of a bucket: an answer names the window that it is really about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .mistakes import BadQuestion

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Grain(NamedTuple):
    """A width of buckets: whatever is younger than `kept` is known at least as finely."""

    bucket: timedelta
    kept: timedelta


GRAINS = (
    Grain(timedelta(minutes=5), timedelta(days=2) - timedelta(hours=1)),
    Grain(timedelta(hours=1), timedelta(days=44)),
    Grain(timedelta(days=1), timedelta(days=799)),
)
"""Finest first; `kept` is less than the age at which the store's table `traffic` merges or deletes."""

KEPT = GRAINS[-1].kept


@dataclass(frozen=True, slots=True)
class Window:
    """From `since`, the start of a `bucket`, up to `until`, both UTC."""

    since: datetime
    until: datetime
    bucket: timedelta

    def kept(self, now: datetime) -> bool:
        """Does the store still hold all of it?"""
        return now - self.since <= KEPT + self.bucket


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
    """The window in the finest grain that the store still has of all of it."""
    if since >= until:
        raise BadQuestion("a window must start before it ends")
    bucket = next((grain.bucket for grain in GRAINS if now - since <= grain.kept), GRAINS[-1].bucket)
    return Window(aligned(since, bucket), until, bucket)


def aligned(time: datetime, bucket: timedelta) -> datetime:
    """The start of the bucket that holds `time`."""
    seconds = int(time.timestamp()) // int(bucket.total_seconds()) * int(bucket.total_seconds())
    return datetime.fromtimestamp(max(seconds, 0), UTC)


def utc(time: datetime) -> datetime:
    """The store answers in UTC, without saying so."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
