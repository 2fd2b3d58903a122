"""Whether an answer had errors, and at which paths: read from its JSON, its events, or its parts.  Pure.

A body that is whole is read exactly.  Of one that is not, its beginning and its end are enough,
unless the list of errors is longer than what is kept of the end: in an answer `errors` stands
before or after `data`, and a match at the end must close the answer's own braces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from .http_request import kind_of
from .places import Errors, errors_at

STREAMS: Final = ("text/event-stream", "multipart/mixed")
"""Media types of answers that come in pieces: incremental delivery and subscriptions."""

_FIRST = re.compile(rb'^\s*\{\s*"errors"\s*:\s*\[\s*[^\s\]]')
_LAST = re.compile(rb',\s*("errors"\s*:\s*\[)')
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


class Outcome(NamedTuple):
    """`unknown_document`: the server does not have the persisted document, so it executed nothing.

    `at`: the paths of the errors, as far as they were read; `executed`: beside errors, something was.
    """

    errors: bool = False
    unknown_document: bool = False
    at: Errors = {}
    executed: bool = False

    def plus(self, other: Outcome) -> Outcome:
        """Both of one answer."""
        at = Counter(self.at)
        at.update(other.at)
        unknown, executed = self.unknown_document or other.unknown_document, self.executed or other.executed
        return Outcome(self.errors or other.errors, unknown, at, executed)


class _Answer(msgspec.Struct):
    errors: Any = None
    data: msgspec.Raw = msgspec.Raw(b"")
    payload: Any = None
    incremental: Any = None
    completed: Any = None


_ONE_OR_MORE = msgspec.json.Decoder(_Answer | list[_Answer])


def outcomes(content_type: str, head: bytes, tail: bytes | None = None) -> list[Outcome]:
    """One for each answer of a batch, else one; none if this is no GraphQL answer.

    `head` is the whole body, unless `tail` is given: the end of a body that was not kept whole.
    """
    kind = kind_of(content_type)
    if kind == "text/event-stream":
        return [_of_pieces(_events(head))]
    if kind == "multipart/mixed":
        return [_of_pieces(_BLANK_LINE.split(head)[1:])]
    if not kind.endswith("json"):
        return []
    if tail is not None:
        return [Outcome(errors=bool(_FIRST.match(head)) or _closes(tail), executed=True)]
    try:
        answer = _ONE_OR_MORE.decode(head)
    except (ValueError, RecursionError):
        return []
    return [_of(each) for each in answer] if isinstance(answer, list) else [_of(answer)]


def outcome_of_errors(errors: object) -> Outcome:
    """Of an answer's `errors`."""
    if not isinstance(errors, list) or not errors:
        return Outcome()
    return Outcome(True, any(map(_says_unknown, errors)), errors_at(errors))


def was_executed(data: bytes, at: Errors) -> bool:
    """By an answer's `data`, as it stands there or empty: many servers answer what they refuse with null, but then no
    error is a field's."""
    return data not in (b"", b"null") or bool(data and any(at))


def _of(answer: _Answer) -> Outcome:
    outcome = outcome_of_errors(answer.errors)
    outcome = outcome._replace(executed=was_executed(bytes(answer.data), outcome.at))
    inner = [answer.payload]
    for more in (answer.incremental, answer.completed):
        inner += more if isinstance(more, list) else []
    for each in inner:
        if isinstance(each, dict):
            outcome = outcome.plus(outcome_of_part(each, each.get("path") or ()))
    return outcome


def outcome_of_part(part: Mapping[str, Any], below: Sequence[Any] = ()) -> Outcome:
    """Of one event of a subscription, or one incremental payload, whose path is `below`."""
    errors = part.get("errors")
    at = errors_at(errors, below) if errors else {}
    return Outcome(errors=bool(errors), at=at, executed=part.get("data") is not None or any(at))


def _of_pieces(pieces: list[bytes]) -> Outcome:
    found = Outcome()
    for piece in pieces:
        # A part of a multipart answer is followed by its boundary, which is no JSON.
        text = piece.partition(b"\r\n--")[0]
        for outcome in outcomes("application/json", text) if b'"errors"' in text else ():
            found = found.plus(outcome)
    return found


def _events(text: bytes) -> list[bytes]:
    """The data of each event."""
    return [
        b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
        for event in _BLANK_LINE.split(text)
    ]


def _closes(tail: bytes) -> bool:
    """Does the answer end with a list of errors, and what may stand after it?"""
    for found in _LAST.finditer(tail):
        try:
            end = _ONE_OR_MORE.decode(b"{" + tail[found.start(1) :])
        except (ValueError, RecursionError):  # it was deeper in the data
            continue
        if isinstance(end, _Answer) and end.errors:
            return True
    return False


def _says_unknown(error: object) -> bool:
    if not isinstance(error, dict):
        return False
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code == "PERSISTED_QUERY_NOT_FOUND" or error.get("message") == "PersistedQueryNotFound"
