"""The fold of a whole range, column by column: the sums of `core.tally.fold`, which a test holds it to.

A loader folds hundreds of thousands of tallies at a time, and dictionaries of that size are objects
all over the memory.  Here a tally is a few numbers in lists, and no step of Python is taken for
each: as fast on a quiet machine, twice as fast where others use its caches too (measured).
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.histogram import LAST_BUCKET
from ..core.record import TallyColumns

Numbers = NDArray[np.int64]

_BUCKETS = LAST_BUCKET + 1


class Folding:
    """Takes the tallies of reports in, gives them back added up."""

    def __init__(self) -> None:
        self._shapes, self._contexts = _numbering(), _numbering()
        self._shape: list[int] = []  # of each tally, by number
        self._context: list[int] = []
        self._requests: list[int] = []
        self._errors: list[int] = []
        self._durations: list[int] = []  # how many buckets each tally has; all their numbers and counts:
        self._buckets: list[int] = []
        self._counts: list[int] = []

    def add(self, tallies: TallyColumns) -> None:
        contexts = zip(
            tallies.minute, tallies.schema_version, tallies.client, tallies.client_version, tallies.status, strict=True
        )
        self._context += map(self._contexts.__getitem__, contexts)
        self._shape += map(self._shapes.__getitem__, tallies.shape)
        self._requests += tallies.requests
        self._errors += tallies.errors
        self._durations += map(len, tallies.duration)
        self._buckets += chain.from_iterable(tallies.duration)
        self._counts += chain.from_iterable(map(dict.values, tallies.duration))

    def columns(self) -> dict[str, list[Any]]:
        """The arrays of a report that holds the sums; none for no tallies."""
        if not self._shape:
            return {}
        code = np.array(self._context) * len(self._shapes) + np.array(self._shape)
        order, starts = _groups(code)
        context, shape = np.divmod(code[order[starts]], len(self._shapes))
        row = np.empty_like(order)
        row[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
        contexts, shapes = list(self._contexts), list(self._shapes)
        keys = zip(*(contexts[number] for number in context.tolist()), strict=True)
        names = ("minute", "schema_version", "client", "client_version", "status")
        return {name: list(column) for name, column in zip(names, keys, strict=True)} | {
            "shape": [shapes[number] for number in shape.tolist()],
            "requests": _sums(self._requests, order, starts),
            "errors": _sums(self._errors, order, starts),
            "duration": self._histograms(row, len(starts)),
        }

    def _histograms(self, row: Numbers, rows: int) -> list[dict[int, int]]:
        """The sum of the histograms of each row's tallies."""
        if not self._buckets:
            return [{}] * rows
        code = np.repeat(row * _BUCKETS, np.array(self._durations)) + np.array(self._buckets)
        order, starts = _groups(code)
        of_row, bucket = np.divmod(code[order[starts]], _BUCKETS)
        buckets, counts = bucket.tolist(), _sums(self._counts, order, starts)
        ends = np.searchsorted(of_row, np.arange(rows), side="right").tolist()
        spans = zip([0, *ends], ends, strict=False)
        return [dict(zip(buckets[at:end], counts[at:end], strict=False)) for at, end in spans]


def _numbering() -> defaultdict[Any, int]:
    """Gives each key that is looked up the number of keys before it."""
    numbers: defaultdict[Any, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def _groups(code: Numbers) -> tuple[Numbers, Numbers]:
    """An order that puts equal codes beside each other, and where in it each group of them starts."""
    order = np.argsort(code)
    ordered = code[order]
    begins = np.ones(len(code), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    return order, np.flatnonzero(begins)


def _sums(values: list[int], order: Numbers, starts: Numbers) -> list[int]:
    sums: list[int] = np.add.reduceat(np.array(values, np.uint64)[order], starts).tolist()
    return sums
