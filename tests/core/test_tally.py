"""Folding is associative and commutative: where and in which groups it happens never changes a total."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.histogram import bucket, quantile
from forebay.core.tally import Count, Key, Tallies, fold

keys = st.tuples(
    st.integers(0, 2),
    st.just("v"),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.just("1"),
    st.sampled_from([200, 500]),
)
histograms = st.dictionaries(st.integers(0, 4), st.integers(0, 9), max_size=3)
counts = st.tuples(st.integers(0, 2**40), st.integers(0, 2**40), histograms)
tallies = st.lists(st.tuples(keys, counts), max_size=12)
Rows = list[tuple[Key, Count]]


def folded(*groups: Rows) -> Tallies:
    total: Tallies = {}
    for group in groups:
        fold(total, group)
    return total


@given(tallies, tallies, tallies)
def test_grouping_never_changes_a_total(a: Rows, b: Rows, c: Rows) -> None:
    left = fold(folded(a, b), c)
    right = fold(folded(a), list(folded(b, c).items()))
    assert left == right == folded([*a, *b, *c])


@given(tallies, st.randoms())
def test_order_never_changes_a_total(rows: Rows, random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it as object
    assert folded(shuffled) == folded(rows)


@given(tallies)
def test_folding_loses_no_request_and_never_changes_what_it_is_given(rows: Rows) -> None:
    before = copy.deepcopy(rows)
    total = folded(rows)
    assert sum(count[0] for count in total.values()) == sum(count[0] for _, count in rows)
    assert sum(sum(count[2].values()) for count in total.values()) == sum(sum(count[2].values()) for _, count in rows)
    assert rows == before


def test_five_hundred_thousand_equal_requests_become_one_tally() -> None:
    key: Key = (29_000_000, "v", "0" * 32, "web", "1", 200)
    one: Count = (1, 0, {bucket(0.012): 1})
    total = folded([(key, one)] * 500_000)
    assert total == {key: (500_000, 0, {bucket(0.012): 500_000})}


@given(st.floats(1.01e-6, 3600))
def test_a_duration_is_found_again_within_five_percent(seconds: float) -> None:
    found = quantile({bucket(seconds): 1}, 0.5)
    assert found is not None
    assert abs(found / seconds - 1) < 0.0501


def test_quantiles_of_nothing_and_of_extremes() -> None:
    assert quantile({}, 0.5) is None
    assert bucket(0) == bucket(-1) == 0
    assert bucket(1e12) == 383
    assert quantile({10: 99, 100: 1}, 0.5) == quantile({10: 1}, 0.5)
    assert quantile({10: 99, 100: 1}, 0.999) == quantile({100: 1}, 0.5)
