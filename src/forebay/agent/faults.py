"""Faults of the agent itself: counted by kind, logged seldom, never raised into the host.

Of an exception only its type and place are logged: its message may hold a variable's value,
a header, or the token.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path
from threading import RLock
from typing import Final

logger: Final = logging.getLogger("forebay.agent")
logger.addHandler(logging.NullHandler())

LOG_EVERY: Final = 300.0
"""Seconds during which a second fault of one kind is counted but not logged."""


class Faults:
    """Counts by kind; thread-safe."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: dict[str, float] = {}
        self._lock = RLock()

    def note(self, kind: str, what: BaseException | str) -> None:
        """Count one fault; log it unless one of its kind was logged lately."""
        now = time.monotonic()
        with self._lock:
            self.counts[kind] += 1
            if now - self._logged.get(kind, -LOG_EVERY) < LOG_EVERY:
                return
            self._logged[kind] = now
        logger.warning("forebay: %s: %s", kind, what if isinstance(what, str) else _place(what))


def _place(exc: BaseException) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return type(exc).__name__ + where
