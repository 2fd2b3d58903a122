"""The repeat rule is set membership, however the set is written down."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.sequences import NONE, Sequences, add, from_text, to_text


def test_reports_in_order_stay_one_interval() -> None:
    held = NONE
    for number in range(1, 1000):
        held = add(held, number) or ()
    assert held == ((1, 999),)


def test_a_late_report_closes_its_gap() -> None:
    assert add(((1, 5), (7, 9)), 6) == ((1, 9),)
    assert add(((2, 5),), 1) == ((1, 5),)
    assert add(((1, 5),), 7) == ((1, 5), (7, 7))
    assert add(((1, 5), (9, 9)), 7) == ((1, 5), (7, 7), (9, 9))


@given(st.lists(st.integers(1, 40), max_size=80))
def test_a_number_is_a_repeat_exactly_if_it_came_before(numbers: list[int]) -> None:
    held: Sequences = NONE
    before: set[int] = set()
    for number in numbers:
        after = add(held, number)
        assert (after is None) == (number in before)
        before.add(number)
        held = held if after is None else after
        assert {n for low, high in held for n in range(low, high + 1)} == before
        assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(held))
        assert from_text(to_text(held)) == held
