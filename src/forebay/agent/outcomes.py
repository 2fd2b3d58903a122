"""What became of fields: errors by coordinate, and a sample of resolver executions; counted until a report takes them.

On the request's path an error costs its path's place in a queue; the document is walked in the background.
Bounded: past the bounds errors and executions count under no coordinate, so that their sums stay exact.
Nothing here raises.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Final, NamedTuple

from ..core.coordinate import field
from ..core.execution import NOWHERE, Executions, Outcome, Place, fold
from ..core.histogram import Histogram, bucket
from .extract import Extractor
from .faults import Faults, logger
from .places import Errors, Places
from .variants import storable

KNOWN_CHARACTERS: Final = 2**17
"""Of documents that are kept parsed, some 40 bytes of memory each; beyond them all are forgotten."""
WAITING: Final = 1_000
"""Answers with errors that wait for the background."""


class Sample:
    """The resolver executions of one request that stands for `weight` of them."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.seen: dict[str, tuple[int, int, Histogram]] = {}

    def add(self, type_name: str, field_name: str, seconds: float, failed: bool) -> None:
        """One execution of the resolver of a field, which is named as in the schema."""
        coordinate = field(type_name, field_name)
        executions, failures, durations = self.seen.get(coordinate) or (0, 0, {})
        number = bucket(seconds)
        durations[number] = durations.get(number, 0) + 1
        self.seen[coordinate] = (executions + 1, failures + failed, durations)


class Sampling:
    """Of requests one in `1 / rate`, at random; none for 0."""

    def __init__(self, rate: float) -> None:
        self.weight = 0
        self._chance = random.Random()  # the host's own draws must stay what they are, and ours not become its
        if rate:
            if 0 < rate <= 1:
                self.weight = round(1 / rate)
            else:
                logger.warning("forebay: executions of no request are counted: give a share of requests, from 0 to 1")

    def draw(self) -> Sample | None:
        """For one request that begins."""
        weight = self.weight
        return Sample(weight) if weight and self._chance.random() * weight < 1 else None


class Failed(NamedTuple):
    """An answer with errors, of a request whose shape is known."""

    source: str
    operation_name: str | None
    shape: str
    minute: int
    client: str
    client_version: str
    errors: Errors


class Outcomes:
    """Thread-safe, except `analyse`, which one thread at a time may call."""

    def __init__(
        self, extractor: Callable[[], Extractor], faults: Faults, wake: Callable[[], None], limit: int
    ) -> None:
        self._extractor, self._faults, self._wake, self._limit = extractor, faults, wake, limit
        self._held: Executions = {}
        self._waiting: deque[Failed] = deque()
        self._places: dict[tuple[str, str | None], Places | None] = {}
        self._characters = 0
        self._adding = RLock()  # held for moments; a signal may come meanwhile

    def failed(self, failed: Failed) -> None:
        """Count the errors of an answer, where they arose as soon as that is known."""
        if failed.source and len(self._waiting) < WAITING:
            self._waiting.append(failed)
            self._wake()
        else:
            self._settle(failed, None)

    def executed(self, minute: int, client: str, client_version: str, sample: Sample) -> None:
        """Count what was seen of a request that was sampled."""
        try:
            weight, who = sample.weight, (storable(client), storable(client_version))
            self._add(
                {
                    (minute, "", storable(coordinate), *who): Outcome(
                        executions=executions * weight,
                        sampled=executions,
                        failed=failures * weight,
                        duration={number: count * weight for number, count in durations.items()},
                    )
                    for coordinate, (executions, failures, durations) in list(sample.seen.items())
                }
            )
        except Exception as exc:
            self._faults.note("executions", exc)

    def analyse(self) -> None:
        """Find the places of the errors that wait."""
        for _ in range(len(self._waiting)):
            failed = self._waiting.popleft()
            try:
                places = self._places_of(failed.source, failed.operation_name)
            except Exception:  # it does not parse, or the schema is broken
                places = None
            self._settle(failed, places)

    def take(self) -> Executions:
        """Hand everything over that was counted."""
        with self._adding:
            taken, self._held = self._held, {}
            return taken

    def copy(self) -> Executions:
        """What `take` would hand over, which stays here."""
        with self._adding:
            return dict(self._held)

    def give_back(self, executions: Executions) -> None:
        """Return what was taken but not reported."""
        self._add(executions)

    def _settle(self, failed: Failed, places: Places | None) -> None:
        try:
            who = storable(failed.client), storable(failed.client_version)
            at: dict[str, int] = {}
            for path, number in failed.errors.items():
                coordinate = places.coordinate(path) if places and path else NOWHERE
                at[coordinate] = at.get(coordinate, 0) + number
            self._add(
                {
                    (failed.minute, failed.shape, storable(coordinate), *who): Outcome(requests=1, errors=number)
                    for coordinate, number in at.items()
                }
            )
        except Exception as exc:
            self._faults.note("executions", exc)

    def _add(self, executions: Mapping[Place, Outcome]) -> None:
        with self._adding:
            for place, outcome in executions.items():
                if place not in self._held and len(self._held) >= self._limit:
                    place = (place[0], "", NOWHERE, "", "")
                fold(self._held, [(place, outcome)])

    def _places_of(self, source: str, operation_name: str | None) -> Places | None:
        key = (source, operation_name)
        if key not in self._places:
            if self._characters + len(source) > KNOWN_CHARACTERS:
                self._places, self._characters = {}, 0
            self._places[key] = self._extractor().places(source, operation_name)
            self._characters += len(source)
        return self._places[key]
