"""The fold of a whole range into columns: the sums of `core.tally.fold`, which a test holds it to.

What a loader spends most of its time on.  It takes the tallies over instead of copying them, and
adds up in columns, so that a row that is met again costs neither a new tuple nor a second look-up.
"""

from __future__ import annotations

from typing import Any

from ..core.histogram import Histogram
from ..core.record import TallyColumns
from ..core.tally import Key


class Folding:
    """Takes the tallies of reports in, gives them back added up."""

    def __init__(self) -> None:
        self._rows: dict[Key, int] = {}
        self._requests: list[int] = []
        self._errors: list[int] = []
        self._durations: list[Histogram] = []

    def add(self, tallies: TallyColumns) -> None:
        """The histograms are the fold's own from now on."""
        rows, get = self._rows, self._rows.get
        all_requests, all_errors, all_durations = self._requests, self._errors, self._durations
        for key, (requests, errors, durations) in tallies.rows():
            row = get(key)
            if row is None:
                rows[key] = len(all_requests)
                all_requests.append(requests)
                all_errors.append(errors)
                all_durations.append(durations)
                continue
            all_requests[row] += requests
            all_errors[row] += errors
            own = all_durations[row]
            for bucket, count in durations.items():
                own[bucket] = own.get(bucket, 0) + count

    def columns(self) -> dict[str, list[Any]]:
        """The arrays of a report that holds the sums; none for no tallies."""
        if not self._rows:
            return {}
        names = ("minute", "schema_version", "shape", "client", "client_version", "status")
        keys = zip(names, map(list, zip(*self._rows, strict=True)), strict=True)
        return dict(keys) | {"requests": self._requests, "errors": self._errors, "duration": self._durations}
