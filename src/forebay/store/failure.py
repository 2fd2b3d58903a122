"""The errors of clickhouse-connect, urllib3 and ClickHouse → ours, in this one place.

**Later**: every network error and every exception that overload, memory, failover, a disk or a
read-only table can explain; its outcome is unknown.  **Stop**: everything else.

`unsent` (nothing was written for sure) is claimed for one case only: the connection to the server
never came about.  Not for 252, too many parts: each table behind a landing table checks its own
parts, and that all do so before any is written was seen (26.9), but nobody promises it.  Nor for
what a proxy says, or a connection that broke.
"""

from __future__ import annotations

from clickhouse_connect.driver.exceptions import DataError, Error, InterfaceError, NotSupportedError, ProgrammingError
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError, ReadTimeoutError

from ..errors import RetryLater, Stop
from .condition import State

# fmt: off
LATER = frozenset((
    3, 107, 159, 164, 198, 201, 202, 203, 209, 210, 236, 241, 242, 243, 244, 252, 254, 265, 279,
    285, 286, 289, 290, 297, 319, 364, 384, 425, 517, 999, 1000,
))
# fmt: on
"""517: another process alters the same replicated table at the moment."""

STATES = {
    60: State.MISSING_TABLE,
    81: State.MISSING_TABLE,  # the whole database
    159: State.SLOW,
    164: State.READ_ONLY,
    198: State.AWAY,
    209: State.SLOW,
    210: State.AWAY,
    241: State.OUT_OF_MEMORY,
    242: State.READ_ONLY,
    252: State.TOO_MANY_PARTS,
    279: State.AWAY,
}
OUR_MISTAKE = (DataError, InterfaceError, NotSupportedError, ProgrammingError)
"""What clickhouse-connect raises before it asks any server."""


class Unanswered(Exception):
    """No complete answer came.  No error of urllib3's, so that nobody below repeats the request by himself."""

    def __init__(self, reason: Exception | None) -> None:
        super().__init__(str(reason) if reason else "the server sends elsewhere")
        self.reason = reason


def failure(exc: Exception) -> RetryLater | Stop:
    """What a caller is told about it."""
    code = exc.code if isinstance(exc, Error) else None
    line = str(exc).strip().splitlines()[0][:500] if str(exc).strip() else type(exc).__name__
    state = STATES.get(code or 0, State.REFUSING)
    if state is State.MISSING_TABLE:
        return Stop(
            f"the store lacks a table: `forebay migrate` makes it, `forebay rebuild` if it was dropped: {line}",
            reason=state,
        )
    if code in LATER:
        return RetryLater(f"the store is not able to: {line}", reason=state)
    if code is not None or isinstance(exc, OUR_MISTAKE):
        return Stop(f"the store refuses: {line}", reason=State.REFUSING)
    if isinstance(exc, OSError):
        return RetryLater(f"the store is not able to: {line}", reason=State.REFUSING)
    return _network(exc, line)


def _network(exc: Exception, line: str) -> RetryLater:
    reason = exc.reason if isinstance(exc, Unanswered) else exc.__cause__
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    if isinstance(reason, ReadTimeoutError):
        return RetryLater(f"the store does not answer in time: {line}", reason=State.SLOW)
    unsent = isinstance(exc, Unanswered) and isinstance(reason, (NewConnectionError, ConnectTimeoutError))
    return RetryLater(f"the store is away: {line}", unsent=unsent, reason=State.AWAY)


FAILURES = (Error, HTTPError, OSError, Unanswered)
"""Whatever a call of the client can raise; each is given to `failure`."""
