"""Sparse duration histograms with exponential buckets, mergeable by adding counts.

Bucket b holds durations in (1.1^(b-1), 1.1^b] microseconds, clamped to 0…383: a relative
error of at most 5 % above 1 µs, and no upper end that a request could reach.  These are the buckets of Apollo's usage
reports, so theirs merge into ours without loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Histogram = dict[int, int]
"""Bucket → number of requests; buckets without requests are left out."""

LAST_BUCKET = 383
_LOG_BASE = math.log(1.1)


def bucket(seconds: float) -> int:
    """The bucket of one duration."""
    microseconds = seconds * 1e6
    if microseconds <= 1:
        return 0
    return min(math.ceil(math.log(microseconds) / _LOG_BASE), LAST_BUCKET)


def quantile(histogram: Mapping[int, int], q: float) -> float | None:
    """The q-quantile (0…1) in seconds, at the middle of its bucket; None for an empty histogram."""
    total = sum(histogram.values())
    if not total:
        return None
    rank, seen = q * total, 0
    for number in sorted(histogram):
        seen += histogram[number]
        if seen >= rank:
            break
    return float(1.1 ** (number - 0.5) / 1e6) if number else 5e-7
