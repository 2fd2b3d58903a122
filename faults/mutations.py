"""Promises broken on purpose, each by one patch within the processes of the fleet: the harness has to notice.

Nothing in the product knows of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any


def forget_the_intent() -> None:
    """A commit no longer says which range is about to be inserted."""
    from forebay.core import intent
    from forebay.loader import loop

    told = intent.to_metadata
    _patch(loop, "to_metadata", lambda topic_id, _, epoch, word: told(topic_id, None, epoch, word))


def take_a_random_token() -> None:
    """The store can't know an insert that is repeated."""
    from forebay.store.clickhouse import ClickHouse

    insert = ClickHouse.insert

    def careless(self: ClickHouse, table: str, rows: Sequence[Any], token: str) -> None:
        insert(self, table, rows, f"{token}|{uuid.uuid4()}")

    _patch(ClickHouse, "insert", careless)


def acknowledge_early() -> None:
    """A report is acknowledged before it is durable anywhere."""
    from forebay.collector.spill import Spill

    append = Spill.append

    def hasty(self: Spill, messages: Sequence[Any]) -> Future[None]:
        append(self, messages)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    _patch(Spill, "append", hasty)


def count_repeats() -> None:
    """A report that comes a second time is taken for a new one."""
    from forebay.core.sequences import add
    from forebay.loader import block

    _patch(block, "add", lambda held, number: add(held, number) or held)


def _patch(owner: object, name: str, by: Callable[..., Any]) -> None:
    setattr(owner, name, by)
