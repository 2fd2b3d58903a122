"""What a fault is, and the list of all of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import World

COLLECTORS, LOADERS, KAFKA, STORE, TOPIC = "collectors", "loaders", "kafka", "store", "topic"
EVERYTHING = (COLLECTORS, LOADERS, KAFKA, STORE, TOPIC)

Gone = dict[tuple[str, int], int]
"""Reports that the fault took out of the journal before they were loaded: router and number → requests."""

Inject = Callable[["World", random.Random], Gone | None]
"""Lasts until everything is up again.  Parameters are drawn from the generator, which the seed determines."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`touches`: two faults at a time have none in common.  `share`: how often, beside the others.
    `brokers`: on clusters of which sizes."""

    name: str
    touches: tuple[str, ...]
    inject: Inject
    share: int = 2
    brokers: tuple[int, ...] = (1, 3)


ALL: list[Fault] = []


def fault(name: str, *touches: str, share: int = 2, brokers: tuple[int, ...] = (1, 3)) -> Callable[[Inject], Inject]:
    """Puts a function on the list."""

    def add(inject: Inject) -> Inject:
        ALL.append(Fault(name, touches, inject, share, brokers))
        return inject

    return add
