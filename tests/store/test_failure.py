"""What the errors of ClickHouse, clickhouse-connect and the network mean."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from forebay.errors import RetryLater, Stop
from forebay.store.condition import Condition, State, condition_of
from forebay.store.failure import LATER, Unanswered, failure

POOL = HTTPConnectionPool("localhost")


@pytest.mark.parametrize("code", sorted(LATER))
def test_what_may_pass_is_for_later_and_may_have_been_written(code: int) -> None:
    error = failure(DatabaseError(f"Code: {code}. DB::Exception: because", code=code))
    assert isinstance(error, RetryLater)
    assert not error.unsent


@pytest.mark.parametrize("code", [60, 62, 81, 516])
def test_what_will_not_pass_stops(code: int) -> None:
    assert isinstance(failure(DatabaseError("because", code=code)), Stop)


@pytest.mark.parametrize(
    ("reason", "state", "unsent"),
    [
        (NewConnectionError(None, "refused"), State.AWAY, True),  # type: ignore[arg-type]  # a connection that never was
        (ProtocolError("reset"), State.AWAY, False),
        (ReadTimeoutError(POOL, "/", "timed out"), State.SLOW, False),
        (None, State.AWAY, False),  # sent elsewhere by a proxy
    ],
)
def test_only_a_connection_that_never_was_proves_that_nothing_was_sent(
    reason: Exception | None, state: State, unsent: bool
) -> None:
    error = failure(Unanswered(reason))
    assert isinstance(error, RetryLater)
    assert (error.reason, error.unsent) == (state, unsent)


def test_what_no_server_was_asked_for_will_not_pass() -> None:
    assert isinstance(failure(DataError("no number")), Stop)


def test_an_answer_without_a_code_is_a_proxys_and_for_later() -> None:
    assert isinstance(failure(OperationalError("HTTP driver received HTTP status 502")), RetryLater)


def test_a_message_is_one_line_and_a_condition_says_the_same() -> None:
    error = failure(DatabaseError("Too many parts\nand more", code=252))
    assert condition_of(error) == Condition(State.TOO_MANY_PARTS, "the store is not able to: Too many parts")
