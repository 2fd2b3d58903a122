"""Replaying dead letters: their raw bytes go into the journal once more, and from there the way of every record.

Each goes to the topic where it belongs, under the key by which its agent's reports share a
partition: there the loader knows which of the agent's sequences it has counted.  A letter never
was one of them, so its replay counts, and whatever comes after is a repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.record import Record, Report, decode, topic_of
from ..errors import RejectRecord, RetryLater
from ..journal.port import Journal, Message
from ..steps import reached
from .letters import Filed, LetterFile, Page
from .mistakes import BadQuestion
from .outlook import Outlook

MAX_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """A letter that would be put aside again, and why."""

    id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Replay:
    """`appended`: durable in the journal again (or would be, of a dry run), to be loaded next.

    `landed` were left out because the store has them, `refused` because they would be put aside
    again; `refusals` are the first of these.
    """

    dry_run: bool
    appended: int
    landed: int
    refused: int
    refusals: tuple[Refusal, ...]


def replay(
    file: LetterFile, journal: Journal, outlook: Outlook, letters: Sequence[Filed], force: bool, dry_run: bool
) -> Replay:
    """Append what the store lacks and the loader would take; with `force` also what it would put aside again.

    RetryLater if the journal does not answer: some may be in it then, and replaying again is right.
    """
    appended = landed = 0
    refusals: list[Refusal] = []
    for page in file.pages(letters):
        learn(outlook, page)
        messages: list[Message] = []
        for letter, raw in page:
            try:
                record = decode(raw)
                if outlook.landed(record):
                    landed += 1
                    continue
                outlook.check(record)
                outlook.passed(record)
            except RejectRecord as exc:
                if not force:
                    refusals.append(Refusal(letter.id, exc.reason, str(exc)))
                    continue
            messages.append(_message(letter, raw))
        if messages and not dry_run:
            _append(journal, messages)
        appended += len(messages)
    return Replay(dry_run, appended, landed, len(refusals), tuple(refusals[:MAX_REFUSALS]))


def learn(outlook: Outlook, page: Page) -> None:
    """Let it know what of a page can be decoded."""
    outlook.learn([record for _, raw in page if (record := _decoded(raw))])


def _append(journal: Journal, messages: Sequence[Message]) -> None:
    try:
        journal.append(messages).result()
    except RejectRecord as exc:
        raise BadQuestion(f"the journal does not take a letter: {exc}") from exc
    except RetryLater as exc:
        raise RetryLater(f"{exc}; some may be in the journal: replay again", exc.retry_after) from exc
    reached("replay.appended")


def _message(letter: Filed, raw: bytes) -> Message:
    """As the collector's intake would append it; one that can't be read goes where it was."""
    if record := _decoded(raw):
        agent = record.agent if isinstance(record, Report) else ""
        return Message(topic_of(record), f"{record.org}/{record.graph}/{agent}", raw)
    return Message(letter.place.topic, letter.id, raw)


def _decoded(raw: bytes) -> Record | None:
    try:
        return decode(raw)
    except RejectRecord:
        return None
