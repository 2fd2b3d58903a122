"""The laws of the pace, and a small ClickHouse that it must not knock over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.pressure import (
    PROBES,
    SMALLEST_BATCH,
    Bounds,
    Decision,
    Failed,
    Inserted,
    Pressure,
    Trouble,
    decide,
    observe,
    start,
    strain,
)

BOUNDS = Bounds()
WELL = Inserted(rows=50_000, seconds=0.3, parts=10, backlog=10 * BOUNDS.batch_bytes)

inserted = st.builds(
    Inserted,
    rows=st.integers(0, 200_000),
    seconds=st.floats(1e-4, 600),
    parts=st.none() | st.integers(0, 5_000),
    backlog=st.integers(0, 2**34),
)
failed = st.builds(Failed, st.sampled_from(Trouble))
observations = st.lists(inserted | failed, max_size=60)
jitter = st.floats(0, 1)


def after(seen: list[Inserted | Failed], jitter: float = 0.5) -> tuple[Pressure, Decision]:
    pressure, decision = start(BOUNDS), decide(start(BOUNDS), BOUNDS)
    for each in seen:
        pressure, decision = observe(pressure, each, BOUNDS, jitter)
    return pressure, decision


@given(observations, jitter)
def test_whatever_is_observed_every_bound_holds(seen: list[Inserted | Failed], jitter: float) -> None:
    _, decision = after(seen, jitter)
    assert BOUNDS.batch_bytes // SMALLEST_BATCH <= decision.batch_bytes <= BOUNDS.batch_bytes
    assert BOUNDS.fastest <= decision.interval <= BOUNDS.slowest + 1e-9
    assert 0 <= decision.pause <= BOUNDS.longest_pause
    assert decision.why


@given(observations, inserted, st.integers(0, 5_000), st.integers(0, 5_000))
def test_more_parts_never_make_it_faster(seen: list[Inserted | Failed], last: Inserted, one: int, other: int) -> None:
    pressure, _ = after(seen)
    few, many = (observe(pressure, replace(last, parts=n), BOUNDS, 0.5)[1] for n in sorted((one, other)))
    assert many.interval >= few.interval


@given(observations, inserted, st.floats(1e-4, 600), st.floats(1e-4, 600))
def test_slower_inserts_never_make_it_faster(
    seen: list[Inserted | Failed], last: Inserted, one: float, other: float
) -> None:
    pressure, _ = after(seen)
    quick, slow = (observe(pressure, replace(last, seconds=s), BOUNDS, 0.5)[1] for s in sorted((one, other)))
    assert slow.interval >= quick.interval - 1e-9


@given(observations, st.sampled_from(Trouble), st.integers(1, 12), jitter, jitter)
def test_each_failure_in_a_row_pauses_longer_and_never_makes_it_faster(
    seen: list[Inserted | Failed], trouble: Trouble, times: int, one: float, other: float
) -> None:
    pressure, decision = after([*seen, WELL])
    pause, interval, batch = 0.0, decision.interval, decision.batch_bytes
    for _ in range(times):
        pressure, decision = observe(pressure, Failed(trouble), BOUNDS, 1.0)
        assert decision.pause >= pause
        assert decision.interval >= interval
        assert decision.batch_bytes <= batch
        pause, interval, batch = decision.pause, decision.interval, decision.batch_bytes
    less, more = (observe(pressure, Failed(trouble), BOUNDS, each)[1].pause for each in sorted((one, other)))
    assert less <= more <= 2 * less


@given(observations)
def test_when_pressure_ends_full_speed_is_back_after_a_bounded_number_of_probes(seen: list[Inserted | Failed]) -> None:
    pressure, decision = after(seen)
    forgotten = 30  # inserts until trend and time per row, which are smoothed, say that all is well
    usual = WELL.seconds / (10_000 + WELL.rows)
    pressure = replace(pressure, best_row=pressure.best_row and max(pressure.best_row, usual))
    for _ in range(forgotten + PROBES):
        pressure, decision = observe(pressure, WELL, BOUNDS, 0.5)
    assert decision == Decision(BOUNDS.batch_bytes, BOUNDS.fastest, 0, decision.why)


@given(observations, inserted)
def test_the_same_observation_again_and_again_moves_the_pace_one_way_only(
    seen: list[Inserted | Failed], last: Inserted
) -> None:
    pressure, _ = after(seen)
    for _ in range(40):  # until what is smoothed has settled
        pressure, _ = observe(pressure, last, BOUNDS, 0.5)
    rates = []
    for _ in range(40):
        pressure, _ = observe(pressure, last, BOUNDS, 0.5)
        rates.append(pressure.rate)
    assert rates in (sorted(rates), sorted(rates, reverse=True)), strain(pressure, BOUNDS)


@given(observations, inserted | failed)
def test_no_single_observation_changes_the_pace_by_much(seen: list[Inserted | Failed], last: Inserted | Failed) -> None:
    before, _ = after(seen)
    now, _ = observe(before, last, BOUNDS, 0.5)
    assert now.rate <= before.rate + 1 / BOUNDS.fastest / PROBES + 1e-9
    assert now.rate >= before.rate * 0.35 or isinstance(last, Failed)


def test_a_store_that_is_well_and_has_no_backlog_gets_fresh_data_after_the_linger() -> None:
    _, decision = after([replace(WELL, backlog=1_000)] * 3)
    assert decision.interval == BOUNDS.linger
    assert decision.why == "at most one insert in 0.5 s: all is well"


def test_the_reason_is_told() -> None:
    assert "catching up" in after([WELL] * 9)[1].why
    assert "800 parts in a partition, growing" in after([WELL, replace(WELL, parts=800)])[1].why
    assert "times as long" in after([WELL, replace(WELL, seconds=9)])[1].why
    assert "2 failures in a row, the latest: too many parts" in after([Failed(Trouble.TOO_MANY_PARTS)] * 2)[1].why
    assert "getting faster again" in after([WELL, *[Failed(Trouble.TOO_MANY_PARTS)] * 4, WELL])[1].why
    assert "of 9.0 MiB" in after([WELL, Failed(Trouble.MEMORY), WELL])[1].why


class TooManyParts(Exception):
    """Code 252."""


@dataclass(slots=True)
class SmallClickHouse:
    """A partition whose merges take so many parts a second; inserts slow down from 1,000 parts on, and fail at 3,000.

    `parts_per_insert`: how many parts of the busiest partition come with one insert of ours and its likes.
    """

    merges: float
    parts_per_insert: float
    away_from: float = -1.0
    away_until: float = -1.0
    now: float = 0.0
    parts: float = 5.0
    rows: int = 0
    refused: int = 0
    most: float = 0.0

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        # The more parts there are, the less a merge gets done: what is behind falls further behind.
        self.parts = max(5.0, self.parts - seconds * self.merges / (1 + self.parts / 2_000))

    def insert(self, rows: int) -> float:
        """Seconds that it took; TooManyParts or OSError."""
        if self.away_from <= self.now < self.away_until:
            raise OSError
        if self.parts >= 3_000:
            self.refused += 1
            raise TooManyParts
        took = 0.05 + rows / 400_000 + (max(0.0, self.parts - 1_000) / 2_000) ** 2
        self.pass_(took)
        self.parts += self.parts_per_insert
        self.most = max(self.most, self.parts)
        self.rows += rows
        return took


@dataclass(slots=True)
class Fed:
    """What became of a run."""

    rows: int
    waiting: float
    refused: int
    most_parts: float
    longest_gap: float
    intervals: list[float] = field(default_factory=list)


ROWS = 50_000
Control = Callable[[Inserted | Failed], Decision]


def controlled() -> Control:
    pressure = start(BOUNDS)

    def control(seen: Inserted | Failed) -> Decision:
        nonlocal pressure
        pressure, decision = observe(pressure, seen, BOUNDS, 0.5)
        return decision

    return control


def fixed() -> Control:
    """As fast as it goes, and again after a second: a loader without the controller."""
    return lambda seen: Decision(BOUNDS.batch_bytes, 0.0, 1.0 if isinstance(seen, Failed) else 0.0, "")


def feed(house: SmallClickHouse, control: Control, arriving: float, seconds: float) -> Fed:
    """Rows arrive at a rate and are inserted as the control says."""
    waiting = latest = longest = 0.0
    decision = control(Inserted(0, 0.05, 5, 0))
    intervals = []
    while house.now < seconds:
        before = house.now
        rows = int(min(ROWS * decision.batch_bytes / BOUNDS.batch_bytes, waiting))
        rest = max(decision.interval, 0.01)
        if rows < ROWS / 100:
            house.pass_(rest)
        else:
            try:
                took = house.insert(rows)
                waiting -= rows
                longest, latest = max(longest, house.now - latest), house.now
                backlog = int(waiting / ROWS * BOUNDS.batch_bytes)
                decision = control(Inserted(rows, took, int(house.parts), backlog))
                rest = max(decision.interval - took, 0.0)
            except TooManyParts:
                decision = control(Failed(Trouble.TOO_MANY_PARTS))
                rest = max(decision.pause, 0.01)
            except OSError:
                decision = control(Failed(Trouble.AWAY))
                rest = max(decision.pause, 0.01)
                latest = house.now
            house.pass_(rest)
            intervals.append(decision.interval)
        waiting += arriving * (house.now - before)
    return Fed(house.rows, waiting, house.refused, house.most, longest, intervals)


HOUSES = [(1.0, 1.0), (12.0, 4.0), (2.0, 4.0), (20.0, 12.0), (0.5, 1.0)]
"""Merges per second, parts per insert: optimum between 0.5 and 3 inserts a second."""


@pytest.mark.parametrize(("merges", "parts_per_insert"), HOUSES)
def test_sustained_overload_never_reaches_252_and_most_of_the_possible_gets_through(
    merges: float, parts_per_insert: float
) -> None:
    seconds = 4 * 3600.0
    fed = feed(SmallClickHouse(merges, parts_per_insert), controlled(), arriving=10 * ROWS, seconds=seconds)
    fastest = min(merges / parts_per_insert, 1 / BOUNDS.fastest)
    share = fed.rows / (fastest * ROWS * seconds)
    print(f"{merges} / {parts_per_insert}: {share:.2f} of the optimum, at most {fed.most_parts:.0f} parts")
    assert fed.refused == 0
    assert fed.most_parts < 1_000
    assert share >= 0.7
    assert fed.longest_gap <= BOUNDS.slowest + 1


@pytest.mark.parametrize(("merges", "parts_per_insert"), HOUSES)
def test_without_the_controller_the_same_overload_knocks_it_over(merges: float, parts_per_insert: float) -> None:
    fed = feed(SmallClickHouse(merges, parts_per_insert), fixed(), arriving=10 * ROWS, seconds=4 * 3600.0)
    assert fed.most_parts > 2_000
    # The quickest house is held up by its own delays: one loader waits for them, and so can't overrun it.
    assert fed.refused > 0 or merges / parts_per_insert == 3


@pytest.mark.parametrize(("merges", "parts_per_insert"), HOUSES)
def test_after_ten_minutes_away_the_backlog_is_caught_up_without_knocking_it_over(
    merges: float, parts_per_insert: float
) -> None:
    house = SmallClickHouse(merges, parts_per_insert, away_from=600, away_until=1_200)
    fastest = min(merges / parts_per_insert, 1 / BOUNDS.fastest)
    fed = feed(house, controlled(), arriving=0.4 * fastest * ROWS, seconds=4 * 3600.0)
    assert fed.refused == 0
    assert fed.waiting < 2 * ROWS * max(1, fastest), "caught up"
    assert fed.most_parts < 1_000
