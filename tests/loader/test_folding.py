"""A range is folded in place to the sums that the one fold of tallies gives."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.record import TallyColumns, columns_of
from forebay.core.tally import Count, Key, fold
from forebay.loader.folding import Folding

keys = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["v", "w"]),
    st.sampled_from(["a" * 32, "b" * 32]),
    st.sampled_from(["web", ""]),
    st.sampled_from(["1", "2"]),
    st.sampled_from([200, 500]),
)
histograms = st.dictionaries(st.integers(0, 383), st.integers(0, 2**40), max_size=3)
requests = st.integers(0, 2**40)
counts = st.tuples(requests, requests, histograms).map(lambda count: (max(count[:2]), min(count[:2]), count[2]))
reports = st.lists(st.dictionaries(keys, counts, max_size=8), max_size=5)


@given(reports)
def test_its_sums_are_those_of_the_fold(reports: list[dict[Key, Count]]) -> None:
    expected = fold({}, (row for tallies in reports for row in tallies.items()))
    folding = Folding()
    for tallies in reports:
        columns: dict[str, Any] = copy.deepcopy(columns_of(tallies))
        folding.add(TallyColumns(**columns))
    found = folding.columns()
    assert bool(found) == bool(expected)
    if found:
        assert dict(TallyColumns(**found).rows()) == expected


def test_what_it_gives_back_depends_on_nothing_but_what_was_put_in() -> None:
    """A replay sends equal rows, in the same order."""
    tallies = {(n % 3, "v", f"{n:032x}", "web", "1", 200): (n, 0, {n: n}) for n in range(50)}
    first, second = Folding(), Folding()
    for folding in (first, second):
        for _ in range(3):
            columns: dict[str, Any] = copy.deepcopy(columns_of(tallies))
            folding.add(TallyColumns(**columns))
    assert list(first.columns().items()) == list(second.columns().items())
