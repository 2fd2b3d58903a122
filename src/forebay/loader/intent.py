"""The intent: which range a loader is about to insert, kept in the metadata of its commit.

`v1 <topic id> <first>-<end> <epoch> <checksum>`, ASCII, well below every broker's limit.  The
checksum guards against metadata that a foreign client wrote or a reader ran past the end of.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ..errors import Stop


class Range(NamedTuple):
    """Offsets from `first` up to but without `end`."""

    first: int
    end: int


def to_metadata(topic_id: str, range_: Range | None, epoch: int) -> str:
    """The metadata of a commit; None says that nothing is under way."""
    body = f"v1 {topic_id} {f'{range_.first}-{range_.end}' if range_ else '-'} {epoch}"
    return f"{body} {zlib.crc32(body.encode()):08x}"


def topic_id_in(metadata: str) -> str:
    """Of which topic's log a commit speaks.  Stop if the text is not ours."""
    return _words(metadata)[1]


def from_metadata(metadata: str, topic_id: str, epoch: int) -> Range | None:
    """The declared range.  Stop if the text is not ours or speaks of another topic's log or epoch."""
    words = _words(metadata)
    if words[1] != topic_id:
        raise Stop(f"the topic was deleted and created again (was {words[1]}, is {topic_id}): reset the consumer group")
    if words[3] != str(epoch):
        raise Stop(f"the commit belongs to epoch {words[3]}, this loader to {epoch}: start the other one")
    if words[2] == "-":
        return None
    first, _, end = words[2].partition("-")
    return Range(int(first), int(end))


def _words(metadata: str) -> list[str]:
    body, _, checksum = metadata.rstrip("\0").rpartition(" ")
    words = body.split(" ")
    if len(words) != 4 or words[0] != "v1" or checksum != f"{zlib.crc32(body.encode()):08x}":
        raise Stop(f"the consumer group's commit was not written by Forebay: {metadata[:80]!r}; use a group of its own")
    return words
