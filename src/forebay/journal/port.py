"""What a journal promises, whichever system it runs on.

- **Order**: records of one partition are read in the order of their offsets, which grow by one.
  Records of one append to different topics become readable in the order given.
- **Durability**: when an append's future has a result, its records survive the loss of power
  (SQLite: fsynced; Kafka: held by all in-sync replicas, which a plan of the topics makes two at
  least).  When it fails, the outcome is *unknown*: the records may be there, on Kafka even twice.
- **Groups**: each partition has at most one owner in a consumer group.  A commit names the next
  offset to be read, and always carries metadata, in one durable write.  A commit by someone who
  has lost the partition raises Lost.
- **Failure**: RetryLater when the journal does not answer; Stop when a person has to act, such as
  for a topic that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ..errors import ForebayError

TOO_LARGE = "too_large"
"""The reason of a refusal that is about the size of what was appended."""


class Lost(ForebayError):
    """The partition is no longer ours: forget its state and poll."""


class Message(NamedTuple):
    """What is appended.  Messages of one key share a partition."""

    topic: str
    key: str
    value: bytes


class Partition(NamedTuple):
    topic: str
    number: int


class Fetched(NamedTuple):
    """A record as read back; `appended` is the journal's clock, in ms since the epoch."""

    offset: int
    appended: int
    value: bytes


class Commit(NamedTuple):
    """Everything below `offset` is done; `metadata` is the consumer's own text."""

    offset: int
    metadata: str


class Retention(NamedTuple):
    """When a record goes, loaded or not: so many seconds after its append, and when its partition takes more than
    so many bytes.  None: it does not."""

    seconds: float | None = None
    bytes: int | None = None


class Bounds(NamedTuple):
    """Offsets from `low` (kept longest) to `high` (next to be appended)."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """A partition that has just become ours.  `topic_id` tells a recreated topic from its forerunner.

    Its records follow from the commit on; from `bounds.low` on where nothing is committed or
    retention has taken what was next.  Whether to go on then is for the caller to decide.
    """

    partition: Partition
    topic_id: str
    committed: Commit | None
    bounds: Bounds


@dataclass(slots=True)
class Polled:
    """What happened since the last poll.  `dropped` comes before `assigned`, and both before `records`."""

    dropped: list[Partition] = field(default_factory=list)
    assigned: list[Assigned] = field(default_factory=list)
    records: dict[Partition, list[Fetched]] = field(default_factory=dict)


class Consumer(Protocol):
    """One member of a group; used from one thread."""

    def poll(self, timeout: float, paused: frozenset[Partition] = frozenset()) -> Polled:
        """Wait up to `timeout` seconds for news; partitions in `paused` deliver no records.

        A partition may be dropped and assigned anew at any time.  After Stop the consumer is of no more use.
        """

    def commit(self, partition: Partition, offset: int, metadata: str) -> None:
        """Durable when it returns.  Raises Lost, or RetryLater with unknown outcome.

        After Lost the partition is reported as dropped, and assigned anew if it is ours after all.
        """

    def close(self) -> None:
        """Leave the group; commits nothing."""


class Appender(Protocol):
    """The side of a journal that a collector sees."""

    def append(self, messages: Sequence[Message]) -> Future[None]:
        """Durable, in this order, when the future has a result; RetryLater (outcome unknown) otherwise.

        RejectRecord for a message that is larger than the journal takes; ValueError at once for
        a topic that it was not opened with.  A RetryLater with the reason TOO_LARGE may be another
        append's fault, unless this one was under way alone.  The future can't be cancelled.
        """


class Journal(Appender, Protocol):
    """Usable from any thread.  What is asked here disturbs no group."""

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer: ...

    def partitions(self, topic: str) -> list[Partition]: ...

    def topic_id(self, topic: str) -> str: ...

    def bounds(self, partition: Partition) -> Bounds: ...

    def retention(self, topic: str) -> Retention: ...

    def under_replicated(self, topic: str) -> list[Partition]:
        """Partitions that miss a replica, because a broker is down or behind; none where there are no replicas."""

    def committed(self, group: str, partition: Partition) -> Commit | None: ...

    def members(self, group: str) -> list[str]:
        """Who consumes for this group now, in words; one that died is among them until it is missed."""

    def read(self, partition: Partition, first: int, limit: int, max_bytes: int = 2**24) -> list[Fetched]:
        """Records from `first` on: as many as both limits allow, at least one if there is one."""

    def close(self) -> None:
        """Make durable what was appended, as far as it can be done in a few seconds; the rest fails as unknown."""
