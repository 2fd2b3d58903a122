"""aiohttp: a middleware that reads GraphQL requests and their answers.

    from forebay.agent.integrations.aiohttp import Forebay

    app = web.Application(middlewares=[Forebay(schema).middleware])

It looks at a body once the handler has read it, never before, and at an answer that is whole; of a
streamed one only the status is known.  WebSockets are not seen: aiohttp's middleware ends where
they begin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from . import missing
from .exchange import Exchange, Watch
from .over_http import Request

try:
    from aiohttp import web
except ModuleNotFoundError as exc:
    raise missing("aiohttp", exc) from exc

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Forebay(Watch):
    """`middleware` is an entry of an application's `middlewares`.

    `client` is given the request; the other options are those of Watch.
    """

    @property
    def middleware(self) -> Any:
        """aiohttp's middleware; it passes on what the handler gives or raises."""

        @web.middleware
        async def forebay(request: web.Request, handler: Handler) -> web.StreamResponse:
            seen = self.attempt(self._begin, request)
            if seen is None:
                return await handler(request)
            answer: web.StreamResponse | None = None
            try:
                answer = await handler(request)
                return answer
            except web.HTTPException as exc:
                answer = exc
                raise
            except Exception:
                self.attempt(seen.fails)
                raise
            finally:
                await self._end(seen, request, answer)

        return forebay

    def _begin(self, request: web.Request) -> Exchange | None:
        if request.method not in ("GET", "POST") or not self.watches(request.path):
            return None
        header = request.headers.get
        asked = Request(
            request.method, request.query_string, header("Content-Type", ""), header("Content-Encoding", "")
        )
        return Exchange(self, asked, request)

    async def _end(self, seen: Exchange, request: web.Request, answer: web.StreamResponse | None) -> None:
        try:
            await _take_body(seen, request)
            if answer is not None:
                header = answer.headers.get
                seen.answers(answer.status, header("Content-Type", ""), header("Content-Encoding", ""))
                body = getattr(answer, "body", None)
                if isinstance(body, bytes | bytearray):
                    seen.answer.add(bytes(body))
                else:
                    seen.answer.whole = False
            seen.end()
        except Exception as exc:
            self.faults.note("integration", exc)


async def _take_body(seen: Exchange, request: web.Request) -> None:
    """The body, of a request that the handler has read; aiohttp keeps it, so nothing waits here."""
    try:
        if not request.content.at_eof():
            seen.body.whole = False
        elif request.content_type == "multipart/form-data":
            seen.body.add(_operations(request, await request.post()))
        else:
            seen.body.add(await request.read())
    except Exception:  # a handler that takes a form apart by itself
        seen.body.whole = False


def _operations(request: web.Request, form: Any) -> bytes:
    """The form's fields that are text, as they were sent."""
    boundary = b"--" + request.headers["Content-Type"].partition("boundary=")[2].partition(";")[0].strip('" ').encode()
    fields = [(name, value) for name, value in form.items() if isinstance(value, str)]
    parts = [f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields]
    return boundary + boundary.join(parts) + boundary + b"--"
