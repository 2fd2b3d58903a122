"""From a request to a question: whom it may be about, its parameters, its errors, and a thread to run it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from ..access import Denied
from ..errors import ForebayError, RetryLater
from ..insights.answers import Scope
from ..insights.insights import Insights
from ..insights.mistakes import BadQuestion, BadSchema

MAX_BODY = 2**24


class NotFound(BadQuestion):
    """There is no such graph here."""


class TooLarge(BadQuestion):
    """More than MAX_BODY bytes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a handler may look at; `only` is the graph of a token, None if every graph may be asked about."""

    only: Scope | None
    query: Mapping[str, str]
    body: bytes = b""
    id: str = ""  # the end of the address, where that names something

    def scope(self, insights: Insights) -> Scope:
        """The graph that is meant: the token's, the named one, or the only one there is."""
        named = (self.query.get("org", ""), self.query.get("graph", ""))
        if self.only is not None:
            if any(named) and named != self.only:
                raise Denied("the token is for another graph", forbidden=True)
            return self.only
        known = [Scope(each.org, each.graph) for each in insights.graphs()]
        matching = [scope for scope in known if not any(named) or scope == named]
        if not matching:
            raise NotFound("there is no such graph" if any(named) else "no graph has reported anything yet")
        if len(matching) > 1:
            names = ", ".join(f"org={scope.org}&graph={scope.graph}" for scope in known[:10])
            raise BadQuestion(f"say which graph: {names}")
        return matching[0]

    def need(self, name: str) -> str:
        if not (value := self.query.get(name, "").strip()):
            raise BadQuestion(f"say `{name}`, as in `?{name}=…`")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        text = self.query.get(name, "") or str(default)
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
            raise BadQuestion(f"`{name}` must be a number from 1 to {most}")
        return int(text)


def answered(answer: Any) -> Response:
    """Any answer of `insights` as JSON."""
    return Response(msgspec.json.encode(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


def refused(exc: ForebayError) -> Response:
    """The error as `{"code", "message"}`, with `problems` for a schema."""
    status, code = status_of(exc)
    body: dict[str, Any] = {"code": code, "message": str(exc)}
    headers = {"Cache-Control": "no-store"}
    if isinstance(exc, BadSchema):
        body["problems"] = exc.problems
    if isinstance(exc, RetryLater):
        headers["Retry-After"] = str(max(1, round(exc.retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def status_of(exc: ForebayError) -> tuple[int, str]:
    """HTTP status and code."""
    match exc:
        case Denied():
            return (403, "forbidden") if exc.forbidden else (401, "unauthorized")
        case NotFound():
            return 404, "not_found"
        case TooLarge():
            return 413, "too_large"
        case BadSchema():
            return 400, "bad_schema"
        case BadQuestion():
            return 400, "bad_question"
    return 503, "unavailable"
