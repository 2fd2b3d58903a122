"""GraphQL over HTTP, as a bystander reads it: what a request asks, and how it was answered.

Pure: bytes in, names out.  Nothing is claimed that can't be known: a request whose document is not
to be seen counts as not analysed.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..http_answer import was_executed
from ..http_request import Asked, Unreadable, in_body, in_query, kind_of
from ..places import Errors, errors_at


class Request(NamedTuple):
    """The parts of an HTTP request that say what it asks; "" where a header is missing."""

    method: str
    query: str
    content_type: str
    content_encoding: str


class Answered(NamedTuple):
    """`errors` that were seen; `executed` where it is certain that something was, `refused` that nothing was.

    `at`: the paths of the errors, as far as they were read.
    """

    errors: bool
    executed: bool
    refused: bool
    at: Errors = {}


def asked_by(request: Request, body: bytes, whole: bool) -> list[Asked]:
    """What a request to the GraphQL address asks; several for a batch, none for a page or a probe.

    `body` may be the beginning of one, then it is not `whole`.
    """
    try:
        if request.method == "GET":
            return in_query(request.query)
        if request.method != "POST":
            return []
        upload = kind_of(request.content_type) == "multipart/form-data"
        if request.content_encoding in ("", "identity") and (whole or upload):
            return in_body(request.content_type, body, request.query)
    except Unreadable:
        pass
    return [Asked(None)]


def answered_with(status: int, body: bytes | None, number: int) -> list[Answered]:
    """How each of `number` requests was answered; `body` is None where it was not seen in full.  Never raises."""
    unread = Answered(errors=status >= 400, executed=False, refused=400 <= status < 500)
    try:
        results = msgspec.json.decode(body or b"", type=_Result | list[_Result])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [unread] * number
    if not isinstance(results, list):
        return [_answered(results)] * number
    return [_answered(result) for result in results] if len(results) == number else [unread] * number


class _Result(msgspec.Struct):
    errors: msgspec.Raw = msgspec.Raw(b"null")
    data: msgspec.Raw = msgspec.Raw(b"")


def _answered(result: _Result) -> Answered:
    errors = bytes(result.errors).strip() not in (b"null", b"[]")
    data = bytes(result.data)  # many servers answer what they refuse with null
    at = errors_at(msgspec.json.decode(result.errors)) if errors else {}
    return Answered(errors, executed=was_executed(data, at), refused=errors and not data, at=at)
