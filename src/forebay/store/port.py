"""What a store promises to the loader and to the questions.

**Insert**: a block and its token go in as a whole, into a landing table and everything that
its views feed, or not at all as far as totals are concerned: inserting the same block again
under the same token changes nothing, also after an insert that failed midway, whose outcome is
unknown, or that is still under way.  RetryLater means that the same call may succeed later; Stop
that it will not.  A block that may have been sent must be sent again as it is; only after a
RetryLater that is `unsent` may its rows go in under other tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .condition import Condition
from .window import EMBEDDED, Window

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
    def migrate(self, window: Window = EMBEDDED) -> None:
        """Create or upgrade the tables, so that they remember inserts for `window`.  Stop if a newer Forebay made them.

        Several processes may do so at once.
        """

    def check(self, window: Window = EMBEDDED) -> None:
        """Stop unless the tables are of this Forebay and remember inserts for `window`."""

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        """`table` is one of `landing.TABLES`."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries.  `{name:Type}` in the text stands for a parameter."""

    def loaded(self, origin: Origin) -> int:
        """The offset behind the last range of this partition that is in the ledger; 0 if there is none."""

    def seen(self, origin: Origin) -> dict[AgentKey, Seen]:
        """The latest state of each agent in this partition.

        Of an agent that only an earlier incarnation of the topic has held: what that left, below every
        offset (`first` and `last` are -1), so that a report repeated across the two counts once.
        """

    def condition(self) -> Condition:
        """How the store is now, asked of the store; what the latest insert ran into counts until one succeeds."""

    def parts(self) -> int:
        """The most active parts that a partition of a table has: too many slow inserts down, and then stop them."""

    def close(self) -> None: ...
