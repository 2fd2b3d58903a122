"""Dead letters: which there are, what each holds, what has become of it, and replaying them.

No mark of a replay is kept: whether a letter has landed is read from the agent's seen sequences,
the same rule by which the loader recognises a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.record import decode
from ..errors import RejectRecord
from ..journal.port import Journal
from ..store.port import Store
from .answers import Scope
from .letters import Filed, LetterFile
from .mistakes import BadQuestion
from .outlook import Outlook
from .replay import Replay, learn, replay

LANDED, REPLAYABLE = "landed", "replayable"


@dataclass(frozen=True, slots=True)
class Letter:
    """`size` is in bytes; organisation and graph are empty where nobody can tell.

    `now`: `landed` if the store has what it holds, by a replay or because it was sent again;
    `replayable` if a replay would load it; else the reason for which it would be put aside again.
    """

    id: str
    appended: datetime
    reason: str
    message: str
    size: int
    org: str
    graph: str
    now: str


@dataclass(frozen=True, slots=True)
class Letters:
    """The newest of `total` letters."""

    total: int
    letters: tuple[Letter, ...]


@dataclass(frozen=True, slots=True)
class WholeLetter:
    letter: Letter
    raw: bytes


class DeadLetters:
    """Safe to share between threads, as far as its store and journal are.

    A scope is the one graph whose letters are meant; without one, every graph's and nobody's.
    """

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._file = LetterFile(store, journal)

    def newest(self, scope: Scope | None = None, reason: str | None = None, limit: int = 50) -> Letters:
        filed = self._file.newest(scope, reason, limit)
        told = {each.letter.id: each.letter for each in self._told(sorted(filed, key=lambda each: each.place))}
        return Letters(self._file.count(scope, reason), tuple(told[each.id] for each in filed if each.id in told))

    def letter(self, letter_id: str, scope: Scope | None = None) -> WholeLetter | None:
        """None if there is none such in this scope."""
        filed = [each for each in self._file.named([letter_id]) if scope in (None, (each.org, each.graph))]
        return next(self._told(filed), None)

    def replay_all(
        self, scope: Scope | None = None, reason: str | None = None, force: bool = False, dry_run: bool = False
    ) -> Replay:
        """Every letter of the scope, an agent's in the order of the log."""
        return self._replay(self._file.every(scope, reason), force, dry_run)

    def replay(self, letter_ids: Sequence[str], force: bool = False, dry_run: bool = False) -> Replay:
        """These; BadQuestion before anything is appended if one is not there."""
        filed = self._file.named(letter_ids)
        if len(filed) < len(set(letter_ids)):
            missing = set(letter_ids) - {each.id for each in filed}
            raise BadQuestion(f"there is no dead letter {', '.join(sorted(missing)[:5])}")
        return self._replay(filed, force, dry_run)

    def _replay(self, letters: list[Filed], force: bool, dry_run: bool) -> Replay:
        return replay(self._file, self._journal, Outlook(self._store), letters, force, dry_run)

    def _told(self, filed: Sequence[Filed]) -> Iterator[WholeLetter]:
        outlook = Outlook(self._store)
        for page in self._file.pages(filed):
            learn(outlook, page)
            for letter, raw in page:
                told = {name: getattr(letter, name) for name in _SAME}
                yield WholeLetter(Letter(**told, now=_now(raw, outlook)), raw)


_SAME = ("id", "appended", "reason", "message", "size", "org", "graph")


def _now(raw: bytes, outlook: Outlook) -> str:
    try:
        record = decode(raw)
        if outlook.landed(record):
            return LANDED
        outlook.check(record)
    except RejectRecord as exc:
        return exc.reason
    return REPLAYABLE
