"""Dead letters as the ledger holds them: their places and ids, and their bytes some at a time.

A letter's id is the place of its record, `topic/partition/offset`; where the topic has been made
anew since, `@` and the former one's id follow.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from ..core.record import TOPICS
from ..journal.port import Journal
from ..store.port import Store
from .answers import Scope
from .mistakes import BadQuestion
from .window import utc

PAGE_LETTERS, PAGE_BYTES = 500, 2**24
"""How much is held at once."""


class Place(NamedTuple):
    """Where a record stood."""

    topic: str
    topic_id: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Filed:
    """A letter without its bytes, of which there are `size`.  Nobody's have an empty organisation and graph."""

    place: Place
    id: str
    appended: datetime
    reason: str
    message: str
    size: int
    org: str
    graph: str


Page = list[tuple[Filed, bytes]]

_FIELDS = "topic, topic_id, partition, offset, appended, reason, message, length(raw) AS size, org, graph"
_CHOSEN = """({everything:UInt8} OR (org = {org:String} AND graph = {graph:String}))
  AND ({any_reason:UInt8} OR reason = {reason:String})"""
_AT = """topic = {topic:String} AND topic_id = {topic_id:String} AND partition = {partition:UInt32}
  AND offset IN {offsets:Array(Int64)}"""

COUNT = f"SELECT count() AS letters FROM dead_letters WHERE {_CHOSEN}"
NEWEST = f"""
SELECT {_FIELDS} FROM dead_letters WHERE {_CHOSEN}
ORDER BY appended DESC, topic, partition, offset DESC LIMIT {{limit:UInt32}}
"""
EVERY = f"SELECT {_FIELDS} FROM dead_letters WHERE {_CHOSEN} ORDER BY topic, topic_id, partition, offset"
AT = f"SELECT {_FIELDS} FROM dead_letters WHERE {_AT} ORDER BY offset LIMIT 1 BY offset"
RAW = f"SELECT offset, base64Encode(raw) AS bytes FROM dead_letters WHERE {_AT}"


class LetterFile:
    """Reads them.  A scope is the one graph that may be seen; without one, everything."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    def count(self, scope: Scope | None, reason: str | None) -> int:
        return int(self._store.query(COUNT, _chosen(scope, reason))[0]["letters"])

    def newest(self, scope: Scope | None, reason: str | None, limit: int) -> list[Filed]:
        return self._filed(self._store.query(NEWEST, _chosen(scope, reason) | {"limit": limit}))

    def every(self, scope: Scope | None, reason: str | None) -> list[Filed]:
        """In the order of the log."""
        return self._filed(self._store.query(EVERY, _chosen(scope, reason)))

    def named(self, letter_ids: Sequence[str]) -> list[Filed]:
        """These, each once, in the order of the log; those that are not there are left out."""
        topic_ids = self._topic_ids()
        found: list[Filed] = []
        for partition, group in groupby(sorted({_parsed(each, topic_ids) for each in letter_ids}), _partition):
            found += self._filed(self._store.query(AT, _at(partition, group)))
        return found

    def pages(self, letters: Sequence[Filed]) -> Iterator[Page]:
        """With their bytes, in this order, in which those of a partition should stand together."""
        for partition, group in groupby(letters, lambda each: _partition(each.place)):
            page: list[Filed] = []
            for letter in group:
                if page and (len(page) == PAGE_LETTERS or sum(each.size for each in (*page, letter)) > PAGE_BYTES):
                    yield self._read(partition, page)
                    page = []
                page.append(letter)
            yield self._read(partition, page)

    def _read(self, partition: tuple[str, str, int], letters: list[Filed]) -> Page:
        found = self._store.query(RAW, _at(partition, (letter.place for letter in letters)))
        raw = {row["offset"]: base64.b64decode(row["bytes"]) for row in found}
        return [(letter, raw[letter.place.offset]) for letter in letters if letter.place.offset in raw]

    def _filed(self, rows: list[dict[str, Any]]) -> list[Filed]:
        topic_ids = self._topic_ids()
        filed = []
        for row in rows:
            place = Place(*(row[name] for name in Place._fields))
            told = {name: row[name] for name in ("reason", "message", "size", "org", "graph")}
            filed.append(Filed(place, _id(place, topic_ids), utc(row["appended"]), **told))
        return filed

    def _topic_ids(self) -> dict[str, str]:
        return {topic: self._journal.topic_id(topic) for topic in TOPICS}


def _partition(place: Place) -> tuple[str, str, int]:
    return place[:3]


def _at(partition: tuple[str, str, int], places: Iterator[Place]) -> dict[str, Any]:
    topic, topic_id, number = partition
    offsets = [place.offset for place in places]
    return {"topic": topic, "topic_id": topic_id, "partition": number, "offsets": offsets}


def _chosen(scope: Scope | None, reason: str | None) -> dict[str, Any]:
    org, graph = scope or ("", "")
    chosen = {"any_reason": int(reason is None), "reason": reason or ""}
    return chosen | {"everything": int(scope is None), "org": org, "graph": graph}


def _id(place: Place, topic_ids: dict[str, str]) -> str:
    former = "" if topic_ids.get(place.topic) == place.topic_id else f"@{place.topic_id}"
    return f"{place.topic}/{place.partition}/{place.offset}{former}"


def _parsed(letter_id: str, topic_ids: dict[str, str]) -> Place:
    match = re.fullmatch(r"([^/@]+)/([0-9]{1,9})/([0-9]{1,18})(?:@(.+))?", letter_id)
    if match is None or match[1] not in topic_ids:
        raise BadQuestion(f"`{letter_id[:100]}` is no dead letter's id: they look like forebay.tallies/0/41")
    return Place(match[1], match[4] or topic_ids[match[1]], int(match[2]), int(match[3]))
