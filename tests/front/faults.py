"""What can go wrong between a client and a ClickHouse server, as values that travel to the front as JSON."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    SLOW = "slow"  # wait `value` seconds, then execute and answer
    STATUS = "status"  # answer HTTP status `value` without executing, as a proxy does
    EXCEPTION = "exception"  # answer ClickHouse's exception `value` without executing
    CUT_BEFORE = "cut_before"  # close the connection without executing
    CUT_AFTER = "cut_after"  # execute, then close the connection without an answer
    KILL_BEFORE = "kill_before"  # SIGKILL of the whole front without executing
    KILL_AFTER = "kill_after"  # SIGKILL of the whole front after executing; both when nothing else is executed


@dataclass(slots=True)
class Fault:
    """Befalls the next `times` requests (None: until cleared), each with a probability that `seed` makes repeatable."""

    kind: Kind
    value: float = 0
    times: int | None = 1
    inserts: bool = True  # only inserts
    probability: float = 1.0
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Fault:
        return cls(**fields | {"kind": Kind(fields["kind"])})


class Faults:
    """The faults that are switched on; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: list[tuple[Fault, random.Random]] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._on.append((fault, random.Random(fault.seed)))

    def clear(self) -> None:
        with self._lock:
            self._on.clear()

    def pending(self) -> int:
        """How many that befall a number of requests have not befallen all of them yet."""
        with self._lock:
            return sum(1 for fault, _ in self._on if fault.times)

    def next(self, insert: bool) -> Fault | None:
        """The fault of this request, if one befalls it."""
        with self._lock:
            for fault, chance in self._on:
                if fault.times == 0 or (fault.inserts and not insert) or chance.random() >= fault.probability:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
            return None
