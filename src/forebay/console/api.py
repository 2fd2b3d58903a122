"""The JSON API under `/api/v1/`: one address for each question, answers as `insights.answers` defines them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import ForebayError
from ..insights.insights import DEFAULT_WINDOW, Insights
from ..insights.mistakes import BadQuestion
from ..insights.questions import Questions
from . import checks, dead_letters
from .asking import MAX_BODY, Asked, TooLarge, answered, refused
from .gate import Gate

PREFIX = "/api/v1"

Ask = Callable[[Asked], Any]


def api(insights: Insights, gate: Gate) -> list[Route]:
    """Every address of the API."""

    def questions(asked: Asked) -> Questions:
        return insights.ask(asked.scope(insights), asked.query.get("window") or DEFAULT_WINDOW)

    def clients(asked: Asked) -> Any:
        asking = questions(asked)
        if "coordinate" not in asked.query:
            return asking.clients()
        return asking.clients_of(asked.need("coordinate"), asked.number("limit", 1000, 100_000))

    def fields(asked: Asked) -> Any:
        if "client" not in asked.query:
            raise BadQuestion("say which client, as in `?client=web`; an empty one stands for those without a name")
        return questions(asked).fields_of(asked.query["client"], asked.query.get("version"))

    def errors(asked: Asked) -> Any:
        if "coordinate" in asked.query:
            return questions(asked).errors_at(asked.need("coordinate"), asked.number("limit", 1000, 100_000))
        return questions(asked).errors(asked.number("limit", 100, 10_000), asked.query.get("operation"))

    asks: dict[str, Ask] = {
        "clients": clients,
        "fields": fields,
        "errors": errors,
        "operations": lambda asked: questions(asked).operations(
            asked.number("limit", 100, 10_000), asked.query.get("client"), asked.query.get("version")
        ),
        "schema": lambda asked: questions(asked).schema_use(),
        "requests": lambda asked: questions(asked).requests_over_time(asked.number("steps", 60, 2_000)),
        "graphs": lambda asked: [
            each for each in insights.graphs() if asked.only is None or (each.org, each.graph) == asked.only
        ],
        "status": lambda asked: insights.status(asked.only),
        "verify": lambda asked: insights.verify(asked.only),
        "marks": lambda asked: insights.marks.all(asked.scope(insights)),
        "dead-letters": lambda asked: dead_letters.newest(insights, asked),
        "dead-letters/{id:path}": lambda asked: dead_letters.letter(insights, asked),
    }
    tells: dict[str, Ask] = {
        "check": lambda asked: checks.check(insights, asked),
        "marks": lambda asked: checks.mark(insights, asked),
        "marks/revoke": lambda asked: checks.revoke(insights, asked),
        "dead-letters/replay": lambda asked: dead_letters.replay(insights, asked),
    }
    get = [Route(f"{PREFIX}/{name}", _handler(gate, ask), methods=["GET"]) for name, ask in asks.items()]
    post = [Route(f"{PREFIX}/{name}", _handler(gate, tell), methods=["POST"]) for name, tell in tells.items()]
    return [*post, *get]


async def body_of(request: Request) -> bytes:
    """The body, read only as far as it may be long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise TooLarge(f"at most {MAX_BODY:,} bytes are read")
    return bytes(body)


def _handler(gate: Gate, ask: Ask) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            only = gate.admit(request)
            body = b""
            if request.method == "POST":
                if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                    # What a browser sends to another site without asking it first is never this type.
                    raise BadQuestion("send `Content-Type: application/json`")
                body = await body_of(request)
            asked = Asked(only, dict(request.query_params), body, request.path_params.get("id", ""))
            return await run_in_threadpool(lambda: answered(ask(asked)))
        except ForebayError as exc:
            return refused(exc)

    return handle
