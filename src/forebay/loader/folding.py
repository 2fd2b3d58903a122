"""The fold of a whole range into columns: the sums of `core.tally.fold`, which a test holds it to.

What a loader spends most of its time on.  It takes the tallies over instead of copying them, and
adds up in columns, so that a row that is met again costs neither a new tuple nor a second look-up.
A report's tallies are mostly of one minute and one schema: these are looked up once for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

from ..core.histogram import Histogram
from ..core.record import TallyColumns

Rows = dict[tuple[str, str, str, int], int]
"""(shape id, client, client version, HTTP status) → its place in the columns of counts"""


class Folding:
    """Takes the tallies of reports in, gives them back added up."""

    def __init__(self) -> None:
        self._rows: defaultdict[tuple[int, str], Rows] = defaultdict(dict)  # by minute and schema version
        self._requests: list[int] = []
        self._errors: list[int] = []
        self._durations: list[Histogram] = []

    def add(self, tallies: TallyColumns) -> None:
        """The histograms are the fold's own from now on."""
        all_requests, all_errors, all_durations = self._requests, self._errors, self._durations
        keys = zip(tallies.shape, tallies.client, tallies.client_version, tallies.status, strict=True)
        counts = (tallies.requests, tallies.errors, tallies.duration)
        for rows, key, requests, errors, durations in zip(self._groups(tallies), keys, *counts, strict=False):
            row = rows.get(key)
            if row is None:
                rows[key] = len(all_requests)
                all_requests.append(requests)
                all_errors.append(errors)
                all_durations.append(durations)
                continue
            all_requests[row] += requests
            if errors:
                all_errors[row] += errors
            own = all_durations[row]
            for bucket, count in durations.items():
                own[bucket] = own.get(bucket, 0) + count

    def columns(self) -> dict[str, list[Any]]:
        """The arrays of a report that holds the sums; none for no tallies."""
        if not self._rows:
            return {}
        places = list(chain.from_iterable(rows.values() for rows in self._rows.values()))
        keys = ((*group, *key) for group, rows in self._rows.items() for key in rows)
        names = ("minute", "schema_version", "shape", "client", "client_version", "status")
        counts: dict[str, list[Any]] = {"requests": self._requests, "errors": self._errors, "duration": self._durations}
        return dict(zip(names, map(list, zip(*keys, strict=True)), strict=True)) | {
            name: [column[place] for place in places] for name, column in counts.items()
        }

    def _groups(self, tallies: TallyColumns) -> Iterable[Rows]:
        """For each of these tallies, the rows of its minute and schema version."""
        minutes, versions = tallies.minute, tallies.schema_version
        if not minutes:
            return ()
        if minutes.count(minutes[0]) == versions.count(versions[0]) == len(minutes):
            return repeat(self._rows[minutes[0], versions[0]])
        return [self._rows[group] for group in zip(minutes, versions, strict=True)]
