"""A journal that can be made to ail in every way in which a real one does: SQLite behind, the trouble in front."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from forebay.errors import RejectRecord, RetryLater
from forebay.journal.port import TOO_LARGE, Appender, Message

LARGE = 1_000
MOODS = ("well", "away", "unknown", "mute", "lost", "slow")


class Ailing:
    """`mood` is asked at each append.

    well     the journal as it is
    away     fails at once, keeps nothing
    unknown  keeps it and says that it failed
    mute     keeps it and says so when it is in another mood again
    lost     keeps nothing and says so when it is in another mood again
    slow     keeps it and says so after `delay` seconds
    strict   refuses what is larger than LARGE, with what was sent together with it
    unsure   the same, and calls it the fault of a batch
    """

    def __init__(self, journal: Appender, mood: Callable[[], str], delay: float = 0.3) -> None:
        self._journal = journal
        self._mood = mood
        self._delay = delay
        self._withheld: list[tuple[str, Future[None]]] = []
        self.unanswered = 0  # bytes that were sent and neither confirmed nor failed
        self.most_unanswered = 0
        threading.Thread(target=self._answer_in_the_end, daemon=True).start()

    def append(self, messages: Sequence[Message]) -> Future[None]:
        mood, answer = self._mood(), Future[None]()
        size = sum(len(message.value) for message in messages)
        self.unanswered += size
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        answer.add_done_callback(lambda _: self._answered(size))
        if mood in ("strict", "unsure"):
            large = any(len(message.value) > LARGE for message in messages)
            mood = mood if large else "well"
        if mood not in ("away", "lost", "strict", "unsure"):
            kept = self._journal.append(messages)
        match mood:
            case "well":
                kept.add_done_callback(lambda _: answer.set_result(None))
            case "unknown":
                kept.add_done_callback(lambda _: answer.set_exception(RetryLater("nobody knows")))
            case "strict":
                answer.set_exception(RejectRecord(TOO_LARGE, "never"))
            case "unsure":
                answer.set_exception(RetryLater("a batch is too large", reason=TOO_LARGE))
            case "away":
                answer.set_exception(RetryLater("away"))
            case "slow":
                kept.add_done_callback(lambda _: threading.Timer(self._delay, answer.set_result, (None,)).start())
            case _:
                self._withheld.append((mood, answer))
        return answer

    def _answer_in_the_end(self) -> None:
        while True:
            time.sleep(0.02)
            mood = self._mood()
            for withheld in tuple(self._withheld):
                if withheld[0] != mood:
                    self._withheld.remove(withheld)
                    if withheld[0] == "mute":
                        withheld[1].set_result(None)
                    else:
                        withheld[1].set_exception(RetryLater("timed out"))

    def _answered(self, size: int) -> None:
        self.unanswered -= size
