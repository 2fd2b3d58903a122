"""What a store promises to the loader and to the questions.

**Insert**: a block and its token go in as a whole, into a landing table and everything that
its views feed, or not at all as far as totals are concerned: inserting the same block again
under the same token changes nothing, also after an insert that failed midway or whose outcome
is unknown.  RetryLater means that the same call may succeed later, and its `reason` is a word
of `core/pressure.py`; Stop that it will not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]
"""A row of a landing table; a column that it leaves out has the type's empty value."""

AgentKey = tuple[str, str, str]
"""(organisation, graph, agent id)"""


@dataclass(frozen=True, slots=True)
class Origin:
    """A partition of the journal, as the ledger names it.  `epoch` grows with a deliberate reload."""

    pipeline: str
    topic: str
    topic_id: str
    partition: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """Which sequences of an agent the log held below `first`, and up to and including `last`."""

    first: int
    last: int
    before: str
    after: str


class Store(Protocol):
    def migrate(self) -> None:
        """Create or upgrade the tables.  Stop if a newer Forebay made them."""

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        """`table` is one of `landing.TABLES`."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries.  `{name:Type}` in the text stands for a parameter."""

    def parts(self) -> int:
        """The most parts that a partition of any table has: what slows inserts down, and in the end refuses them."""

    def seen(self, origin: Origin) -> dict[AgentKey, Seen]:
        """The latest state of each agent in this partition."""

    def close(self) -> None: ...
