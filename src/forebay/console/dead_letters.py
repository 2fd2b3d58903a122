"""The dead letters' part of the JSON API.

A read token sees its own graph's letters.  What nobody could decode belongs to no graph, and to
replay is to write: both are for whoever operates Forebay, on a console that listens on loopback.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ..access import Denied
from ..insights.answers import Scope
from ..insights.dead_letters import Letters, WholeLetter
from ..insights.insights import Insights
from ..insights.mistakes import BadQuestion
from ..insights.replay import Replay
from .asking import Asked, NotFound


class ReplayBody(Struct, forbid_unknown_fields=True):
    """Either `ids` or `all`, perhaps of one `reason`."""

    ids: list[str] = []
    all: bool = False
    reason: str | None = None
    force: bool = False
    dry_run: bool = False


def newest(insights: Insights, asked: Asked) -> Letters:
    """GET `dead-letters`."""
    limit = asked.number("limit", 50, 1_000)
    return insights.dead_letters.newest(_scope(insights, asked), asked.query.get("reason"), limit)


def letter(insights: Insights, asked: Asked) -> WholeLetter:
    """GET `dead-letters/ID`; the bytes are in base64."""
    if found := insights.dead_letters.letter(asked.id, _scope(insights, asked)):
        return found
    raise NotFound(f"there is no dead letter {asked.id[:100]}")


def replay(insights: Insights, asked: Asked) -> Replay:
    """POST `dead-letters/replay`."""
    if asked.only is not None:
        raise Denied("a token only reads: replay dead letters on a console that listens on loopback", forbidden=True)
    body = _body(asked.body)
    letters = insights.dead_letters
    if body.all:
        return letters.replay_all(_scope(insights, asked), body.reason, body.force, body.dry_run)
    return letters.replay(body.ids, body.force, body.dry_run)


def _body(raw: bytes) -> ReplayBody:
    try:
        body = msgspec.json.decode(raw, type=ReplayBody)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise BadQuestion(f'send JSON like {{"ids": ["forebay.tallies/0/41"]}} or {{"all": true}}: {exc}') from exc
    if bool(body.ids) == body.all or (body.reason is not None and not body.all):
        raise BadQuestion("name either the ids of letters, or all, perhaps of one reason")
    return body


def _scope(insights: Insights, asked: Asked) -> Scope | None:
    """The token's graph, the named one, or None for everything."""
    if asked.only is not None:
        return asked.scope(insights)
    named = Scope(asked.query.get("org", ""), asked.query.get("graph", ""))
    return named if any(named) else None
