"""Tokens without rows: what an engine that was killed in the midst of an insert leaves behind.

MergeTree without replicas notes an insert's token in the table's `deduplication_logs` just before
the part becomes visible.  Killed between the two, it remembers the token and has no rows, so the
repetition is taken for a duplicate, and they are lost (seen on 26.9: 2 of 347 kills aimed at
inserts).  Where the files are ours we forget such tokens before the engine opens them.  Replicated
tables note both in one step of their Keeper.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ADDED = "1"
_PART = re.compile(r"(?P<partition>[^_]+)_(?P<first>\d+)_(?P<last>\d+)_\d+(_\d+)?")


class _Blocks(NamedTuple):
    """Which of a partition's inserts a part holds."""

    partition: str
    first: int
    last: int


def forget_orphans(path: Path) -> int:
    """Forget them in every table below `path`, which no engine may have open; how many there were.

    A token whose rows have been merged is kept: the merged part covers them.
    """
    return sum(_forget(log) for log in sorted(path.glob("store/*/*/deduplication_logs/*.txt")))


def _forget(log: Path) -> int:
    held = list(_parts(log.parent.parent))
    lines = log.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not _orphan(line, held)]
    if len(kept) < len(lines):
        partial = log.with_suffix(".partial")
        with partial.open("w") as file:
            file.writelines(kept)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(log)
    return len(lines) - len(kept)


def _parts(table: Path) -> Iterator[_Blocks]:
    for entry in table.iterdir():
        if blocks := _blocks(entry.name):
            yield blocks


def _orphan(line: str, held: list[_Blocks]) -> bool:
    operation, _, rest = line.partition("\t")
    blocks = _blocks(rest.partition("\t")[0])
    if operation != ADDED or blocks is None:
        return False
    return not any(
        part.partition == blocks.partition and part.first <= blocks.first and blocks.last <= part.last for part in held
    )


def _blocks(name: str) -> _Blocks | None:
    match = _PART.fullmatch(name)
    return _Blocks(match["partition"], int(match["first"]), int(match["last"])) if match else None
