"""The intent: which range a loader is about to insert, kept in the metadata of its commit; and its own word.

`v2 <topic id> <first>-<end> <epoch> <time> <loader> <trouble> <pace…> <checksum>`, ASCII, well below
every broker's limit; `v1` has nothing between epoch and checksum.  The checksum guards against
metadata that a foreign client wrote or a reader ran past the end of.

The word is for people: how fast the loader goes and why.  Nothing is decided by it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import Stop

LONGEST = {"loader": 100, "trouble": 40, "pace": 300}


class Range(NamedTuple):
    """Offsets from `first` up to but without `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """What a loader says of itself: `at` seconds since the epoch; `trouble` is one word, empty if there is none."""

    at: int
    loader: str
    trouble: str
    pace: str


def to_metadata(topic_id: str, range_: Range | None, epoch: int, word: Word) -> str:
    """The metadata of a commit; None says that nothing is under way."""
    loader = _ascii("loader", word.loader).replace(" ", "_") or "-"
    trouble = _ascii("trouble", word.trouble).replace(" ", "_") or "-"
    said = f"{word.at} {loader} {trouble} {_ascii('pace', word.pace)}"
    body = f"v2 {topic_id} {f'{range_.first}-{range_.end}' if range_ else '-'} {epoch} {said}"
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


def word_in(metadata: str) -> Word | None:
    """What the loader said with its commit; None if it said nothing, or the text is not ours."""
    try:
        words = _words(metadata)
    except Stop:
        return None
    if words[0] == "v1":
        return None
    at, loader, trouble, pace = words[4:]
    return Word(int(at), loader, "" if trouble == "-" else trouble, pace)


def _words(metadata: str) -> list[str]:
    body, _, checksum = metadata.rstrip("\0").rpartition(" ")
    words = body.split(" ", 7)
    if (words[0], len(words)) not in (("v1", 4), ("v2", 8)) or checksum != f"{zlib.crc32(body.encode()):08x}":
        raise Stop(f"the consumer group's commit was not written by Forebay: {metadata[:80]!r}; use a group of its own")
    return words


def _ascii(name: str, text: str) -> str:
    plain = text.encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in plain)[: LONGEST[name]]
