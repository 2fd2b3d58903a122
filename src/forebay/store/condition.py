"""The condition that a store is in: one word and one sentence, for `status` and for the loader's pace."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import RetryLater, Stop


class State(StrEnum):
    OK = "ok"
    AWAY = "away"  # no connection, or no ClickHouse behind it
    SLOW = "slow"  # no answer within its time
    READ_ONLY = "read_only"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_MANY_PARTS = "too_many_parts"
    REFUSING = "refusing"  # anything else; the sentence says what
    MISSING_TABLE = "missing_table"
    UNSUPPORTED_VERSION = "unsupported_version"
    OTHER_SCHEMA_VERSION = "other_schema_version"


@dataclass(frozen=True, slots=True)
class Condition:
    state: State
    sentence: str


OK = Condition(State.OK, "the store answers")


def condition_of(error: RetryLater | Stop) -> Condition:
    """What an error of the store says about it."""
    return Condition(state_of(error.reason), str(error))


def state_of(word: str) -> State:
    """Also of a word that no state has."""
    return State(word) if word in tuple(State) else State.REFUSING
