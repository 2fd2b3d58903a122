"""The check's part of the JSON API, and the marks that let a change pass.

To mark is to write, and a token only reads: marks are made on a console that listens on loopback.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..access import Denied
from ..insights.allowances import Allowances
from ..insights.check_answers import Check, FailOn
from ..insights.insights import Insights
from ..insights.marks import Mark
from ..insights.mistakes import BadQuestion
from .asking import Asked

Body = TypeVar("Body", bound=Struct)


class CheckBody(Struct, forbid_unknown_fields=True):
    """`schema` and `against` are SDL."""

    schema: str
    against: str | None = None
    window: Annotated[str, Meta(max_length=40)] = "30d"
    min_requests: int = 1
    min_percent: float = 0.0
    exclude_clients: list[str] = []
    exclude_operations: list[str] = []
    fail_on: FailOn = FailOn.UNKNOWN


class MarkBody(Struct, forbid_unknown_fields=True):
    """`change` and `operation` are the ids that a check gives."""

    change: str
    operation: str
    author: str
    reason: str


def check(insights: Insights, asked: Asked) -> Check:
    """POST `check`."""
    body = _body(asked, CheckBody, '{"schema": "type Query …", "window": "30d"}')
    clients, operations = frozenset(body.exclude_clients), frozenset(body.exclude_operations)
    allowances = Allowances(body.min_requests, body.min_percent, clients, operations)
    return insights.check(asked.scope(insights), body.schema, body.against, body.window, allowances, body.fail_on)


def mark(insights: Insights, asked: Asked) -> list[Mark]:
    """POST `marks`; all of them after it."""
    scope, body = asked.scope(insights), _mark(asked)
    insights.marks.make(scope, body.change, body.operation, body.author, body.reason)
    return insights.marks.all(scope)


def revoke(insights: Insights, asked: Asked) -> list[Mark]:
    """POST `marks/revoke`; all of them after it."""
    scope, body = asked.scope(insights), _mark(asked)
    insights.marks.revoke(scope, body.change, body.operation, body.author, body.reason)
    return insights.marks.all(scope)


def _mark(asked: Asked) -> MarkBody:
    if asked.only is not None:
        raise Denied("a token only reads: mark changes on a console that listens on loopback", forbidden=True)
    return _body(asked, MarkBody, '{"change": "…", "operation": "…", "author": "ann", "reason": "…"}')


def _body(asked: Asked, kind: type[Body], example: str) -> Body:
    try:
        return msgspec.json.decode(asked.body, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise BadQuestion(f"send JSON like {example}: {exc}") from exc
