"""The errors that cross a boundary between stages: three kinds, each with one meaning.

    ForebayError
    ├── RetryLater      nothing is wrong with the request: try again (`retry_after` seconds)
    ├── RejectRecord    this record can never be taken (`reason`, a word that is counted)
    └── Stop            the process must not go on: one line for a person, who has to act

An adapter maps its vendor's errors to these once (`raise RetryLater(…) from exc`).
"""

from __future__ import annotations


class ForebayError(Exception):
    """Root of the tree."""


class RetryLater(ForebayError):
    """What was asked may succeed later, unchanged.  Its outcome may be unknown.

    `reason` is one of a small set of words, fit for a counter.  `unsent` is true only where it is
    proved that nothing of the request went out.
    """

    def __init__(
        self, message: str, retry_after: float = 1.0, reason: str = "unavailable", *, unsent: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.reason = reason
        self.unsent = unsent


class RejectRecord(ForebayError):
    """This record is wrong and stays wrong.  `reason` is one of a small set of words, fit for a counter."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Stop(ForebayError):
    """Going on would break a promise or help nobody.  The message is one line and says what to do."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
