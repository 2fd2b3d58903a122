"""What a serving process says on standard error, and that saying it never stops what it tells of."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

import structlog


class _Told(io.TextIOBase):
    """Standard error, where a line that can't be written is dropped: it may be a file on the very disk that is full."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def log_to_stderr() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(_Told()))  # type: ignore[arg-type]  # writes alone
