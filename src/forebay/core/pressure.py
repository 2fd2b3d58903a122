"""How fast the store may be fed: what was seen of it → the pace from now on.

Each insert makes at least one part in every table that it feeds, and the server has to merge
parts faster than they arrive: from 1,000 in one partition of a table on it slows inserts down, at
3,000 it refuses them.  So what is paced is *inserts per second*, while a backlog makes each of
them larger.  The rule is that of TCP, additive increase and multiplicative decrease, because it
needs no model of the server, shares it fairly between loaders that don't know of each other, and
ends every disturbance in a sawtooth of known height:

- strain below a half: a little faster, up to full speed after at most `PROBES` such observations;
- strain of 1: slower by a tenth to a half; between the two, or while parts are getting fewer: as it is;
- a failure: a pause that doubles with each one in a row.

Strain is the number of parts, looked ahead by their trend, against a part of what the server
delays at; or how much longer a row takes than it did in good times.

Pure: no clock, no randomness; both are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

MIB = 2**20

PROBES = 20
LOOK_AHEAD = 20
"""Observations by which the trend of the parts is extended."""
STRAINED_AT = 0.3
"""Of `delay_parts`: the number of parts at which strain is 1."""
SLOWER_ROWS = 4.0
"""So many times the best time per row is a strain of 1."""
ROWS_OF_AN_INSERT = 10_000
"""An insert costs as much as so many rows before it has any."""
SMOOTHING = 0.3
FORGETTING = 1.02
"""The best time per row gets so much worse with each insert, so that a server that has changed is known anew."""
SMALLEST_BATCH = 16
"""A part of the full batch that memory errors never get below."""


class Trouble(StrEnum):
    """Why an insert failed, in the words of `store.condition`."""

    TOO_MANY_PARTS = "too_many_parts"
    MEMORY = "out_of_memory"
    AWAY = "away"
    TIMEOUT = "slow"
    READ_ONLY = "read_only"
    OTHER = "other"


FIRST_PAUSE = {Trouble.TOO_MANY_PARTS: 5.0, Trouble.READ_ONLY: 5.0, Trouble.MEMORY: 2.0, Trouble.TIMEOUT: 2.0}
"""Seconds; 1 for all others."""
SLOWED = {Trouble.TOO_MANY_PARTS: 0.5, Trouble.MEMORY: 0.7, Trouble.TIMEOUT: 0.7}
"""What a failure leaves of the rate."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the pace stays within; times in seconds."""

    batch_bytes: int = 16 * MIB  # largest batch, some 100,000 tallies
    linger: float = 0.5  # between inserts while there is no backlog
    fastest: float = 0.25  # between inserts under backlog
    slowest: float = 20.0
    longest_pause: float = 15.0  # a store that comes back waits no longer for its loaders
    delay_parts: int = 1_000  # in one partition: from here on the server slows inserts down by itself


@dataclass(frozen=True, slots=True)
class Inserted:
    """An insert that worked.  `parts`: most active parts in a partition, None if nobody looked;
    `backlog`: bytes that are known to wait."""

    rows: int
    seconds: float
    parts: int | None
    backlog: int


@dataclass(frozen=True, slots=True)
class Failed:
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Pressure:
    """What is remembered of the observations so far."""

    rate: float  # inserts per second
    batch: int  # bytes
    parts: int = 0
    trend: float = 0.0  # parts per observation of them, smoothed
    row: float = 0.0  # seconds, smoothed
    best_row: float = 0.0
    seconds: float = 0.0  # of an insert, smoothed
    backlog: int = 0
    failures: int = 0  # in a row
    trouble: Trouble | None = None  # the latest of these


@dataclass(frozen=True, slots=True)
class Decision:
    """A batch is worth an insert at `batch_bytes`; one insert per `interval` and none for `pause` seconds."""

    batch_bytes: int
    interval: float
    pause: float
    why: str


def start(bounds: Bounds) -> Pressure:
    """Where a loader begins that has seen nothing: at the pace of a store that is well and has no backlog."""
    return Pressure(_within(1 / bounds.linger, bounds), bounds.batch_bytes)


def observe(pressure: Pressure, seen: Inserted | Failed, bounds: Bounds, jitter: float) -> tuple[Pressure, Decision]:
    """The next state and what it means.  `jitter`: from 0 to 1, spreads the pauses of many loaders."""
    if isinstance(seen, Failed):
        after = _failed(pressure, seen.trouble, bounds)
        pause = FIRST_PAUSE.get(seen.trouble, 1.0) * 2 ** min(pressure.failures, 10) * (1 + jitter) / 2
        return after, decide(after, bounds, min(pause, bounds.longest_pause))
    after = _inserted(pressure, seen, bounds)
    return after, decide(after, bounds)


def decide(pressure: Pressure, bounds: Bounds, pause: float = 0.0) -> Decision:
    """What a state means for the next insert."""
    interval = 1 / pressure.rate
    if pressure.backlog < pressure.batch:
        interval = max(interval, bounds.linger)  # nothing is gained by many small inserts
    return Decision(pressure.batch, interval, pause, _why(pressure, bounds, interval, pause))


def strain(pressure: Pressure, bounds: Bounds) -> float:
    """How hard the store is pressed: 0 not at all, 1 as much as it should be."""
    return max(_strain_of_parts(pressure, bounds), _strain_of_rows(pressure))


def _strain_of_parts(pressure: Pressure, bounds: Bounds) -> float:
    return (pressure.parts + LOOK_AHEAD * max(0.0, pressure.trend)) / (STRAINED_AT * bounds.delay_parts)


def _strain_of_rows(pressure: Pressure) -> float:
    return pressure.row / pressure.best_row / SLOWER_ROWS if pressure.best_row else 0.0


def _inserted(before: Pressure, seen: Inserted, bounds: Bounds) -> Pressure:
    row = seen.seconds / (ROWS_OF_AN_INSERT + seen.rows)
    first = not before.best_row
    smooth_row = row if first else _smooth(before.row, row)
    after = replace(
        before,
        row=smooth_row,
        best_row=smooth_row if first else min(smooth_row, before.best_row * FORGETTING),
        seconds=seen.seconds if first else _smooth(before.seconds, seen.seconds),
        batch=min(bounds.batch_bytes, before.batch + max(1, bounds.batch_bytes // SMALLEST_BATCH)),
        backlog=seen.backlog,
        failures=0,
        trouble=None,
    )
    if seen.parts is not None:
        after = replace(after, parts=seen.parts, trend=_smooth(before.trend, seen.parts - before.parts))
    return replace(after, rate=_within(_rate(after, seen.parts is not None, bounds), bounds))


def _rate(after: Pressure, looked: bool, bounds: Bounds) -> float:
    rate = after.rate
    if strain(after, bounds) < 0.5:
        return rate + 1 / bounds.fastest / PROBES
    of_parts = _strain_of_parts(after, bounds)
    falling = after.trend < 0 and after.parts < bounds.delay_parts
    if looked and of_parts >= 1 and not falling:
        rate *= min(0.9, max(0.5, 1 / of_parts))
    if _strain_of_rows(after) >= 1:
        # Slow inserts alone are no reason to stop: they get as much rest as they take.
        rate = min(rate, max(rate * 0.7, 1 / (2 * max(after.seconds, bounds.fastest))))
    return rate


def _failed(before: Pressure, trouble: Trouble, bounds: Bounds) -> Pressure:
    # A store that comes back is not met with full speed, whatever was the matter.
    rate = min(before.rate * SLOWED.get(trouble, 1.0), 1 / bounds.linger)
    batch = before.batch
    if trouble in (Trouble.MEMORY, Trouble.TIMEOUT):
        batch = max(1, bounds.batch_bytes // SMALLEST_BATCH, batch // 2)
    return replace(before, rate=_within(rate, bounds), batch=batch, failures=before.failures + 1, trouble=trouble)


def _smooth(before: float, now: float) -> float:
    return before + SMOOTHING * (now - before)


def _within(rate: float, bounds: Bounds) -> float:
    return min(1 / bounds.fastest, max(1 / bounds.slowest, rate))


def _why(pressure: Pressure, bounds: Bounds, interval: float, pause: float) -> str:
    """The pace in force and its reason, in one sentence."""
    if pressure.trouble:
        word = pressure.trouble.replace("_", " ")
        return f"pauses {pause:.0f} s after {pressure.failures} failures in a row, the latest: {word}"
    pace = f"at most one insert in {interval:.1f} s"
    if pressure.batch < bounds.batch_bytes:
        pace += f" of {pressure.batch / MIB:.1f} MiB"
    if _strain_of_parts(pressure, bounds) >= 0.5:
        way = "growing" if pressure.trend > 0 else "getting fewer"
        return f"{pace}: {pressure.parts} parts in a partition, {way}"
    if _strain_of_rows(pressure) >= 0.5:
        return f"{pace}: a row takes {pressure.row / pressure.best_row:.1f} times as long as it did"
    if interval > bounds.linger:
        return f"{pace}: getting faster again after pressure"
    return f"{pace}: catching up" if pressure.backlog >= pressure.batch else f"{pace}: all is well"
