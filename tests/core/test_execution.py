"""Folding what became of fields never changes a sum, in whichever order and groups it happens."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.execution import Executions, Outcome, Place, fold

places = st.tuples(st.integers(0, 1), st.just(""), st.sampled_from(["A.a", ""]), st.sampled_from("xy"), st.just("1"))
numbers = st.integers(0, 2**40)
histograms = st.dictionaries(st.integers(0, 4), st.integers(1, 9), max_size=3)
outcomes = st.builds(Outcome, numbers, numbers, numbers, numbers, numbers, histograms)
Rows = list[tuple[Place, Outcome]]
rows = st.lists(st.tuples(places, outcomes), max_size=8)


def folded(*groups: Rows) -> Executions:
    total: Executions = {}
    for group in groups:
        fold(total, group)
    return total


@given(rows, rows, rows)
def test_grouping_and_order_never_change_a_sum(a: Rows, b: Rows, c: Rows) -> None:
    before = copy.deepcopy((a, b, c))
    assert fold(folded(a, b), c) == fold(folded(a), folded(c, b).items()) == folded([*c, *b, *a])
    assert (a, b, c) == before
