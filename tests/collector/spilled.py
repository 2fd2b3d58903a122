"""The spill's directory as tests use it, also from processes of their own."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from forebay.collector.frames import read
from forebay.collector.segments import Segments
from forebay.errors import RetryLater
from forebay.journal.port import Message

MIB = 2**20


def one(text: str) -> list[Message]:
    return [Message("topic", "ключ", text.encode())]


def opened(folder: Path, segment: int = MIB, total: int = 8 * MIB) -> Segments:
    return Segments(folder, segment, total, clock=lambda: 1_795_000_000.0)


def texts(segments: Segments) -> tuple[list[str], int]:
    """What can be read, and how many bytes can't."""
    found, damaged = [], 0
    for segment in segments.live:
        file, position = os.open(segment.path, os.O_RDONLY), 0
        while frame := read(file, position, segment.durable):
            damaged += frame.start - position
            found += [message.value.decode() for message in frame.messages]
            position = frame.end
        damaged += segment.durable - position
        os.close(file)
    return found, damaged


def fill(folder: Path, limit: int | None) -> None:
    """Write until the system refuses; what was said to be durable must be there, and writing must go on later."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    segments = opened(folder, segment=64 * MIB, total=512 * MIB)
    kept: list[str] = []
    refused: list[RetryLater] = []
    while len(refused) < 3:
        group = [f"{len(kept) + n} {'x' * 10_007}" for n in range(7)]
        for word, outcome in zip(group, segments.write([one(word) for word in group]), strict=True):
            if outcome:
                refused.append(outcome)
            else:
                kept.append(word)
    assert {refusal.reason for refusal in refused} == {"spill_full"}
    assert len(kept) > 50
    assert texts(segments) == (kept, 0)
    segments.seal()
    segments.finish(segments.live[0])
    assert segments.write([one("again")]) == [None]
    segments.close()
    assert texts(opened(folder))[0][-1] == "again"
