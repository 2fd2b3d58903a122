"""Any ASGI app: a middleware that reads GraphQL requests and their answers as they pass.

    from forebay.agent.integrations.asgi import Forebay

    app = Forebay(app, schema)                        # or
    app.add_middleware(Forebay, schema=schema)        # FastAPI, Starlette

Messages are the app's own, passed on as they come.  It goes inside of what compresses answers, since
a compressed one is not looked into.  Operations over WebSocket (graphql-transport-ws and
graphql-ws) count when they are first answered, without a duration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from graphql import GraphQLSchema

from .exchange import Exchange, Watch
from .over_http import Request
from .over_websocket import Conversation

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Forebay(Watch):
    """The app, watched.  `client` is given the connection's scope; the other options are those of Watch."""

    def __init__(
        self, app: App, schema: GraphQLSchema | str, url: str | None = None, token: str | None = None, **options: Any
    ) -> None:
        super().__init__(schema, url, token, **options)
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        seen = self.attempt(self._begin, scope)
        if seen is None:
            await self._app(scope, receive, send)
            return

        async def received() -> Message:
            message = await receive()
            self.attempt(seen.received, message)
            return message

        async def sent(message: Message) -> None:
            await send(message)
            self.attempt(seen.sent, message)

        try:
            await self._app(scope, received, sent)
        except Exception:
            self.attempt(seen.fails)
            raise
        finally:
            self.attempt(seen.end)

    def _begin(self, scope: Message) -> _Http | Conversation | None:
        if scope["type"] not in ("http", "websocket") or not self.watches(scope["path"]):
            return None
        if scope["type"] == "websocket":
            return Conversation(self, scope)
        if scope["method"] not in ("GET", "POST"):
            return None
        header = _headers(scope).get
        query = scope["query_string"].decode("latin-1")
        encoding = header("content-encoding", "")
        return _Http(self, Request(scope["method"], query, header("content-type", ""), encoding), scope)


class _Http(Exchange):
    def received(self, message: Message) -> None:
        if message["type"] == "http.request":
            self.body.add(message.get("body", b""))

    def sent(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            header = _headers(message).get
            self.answers(message["status"], header("content-type", ""), header("content-encoding", ""))
        elif message["type"] == "http.response.body":
            self.answer.add(message.get("body", b""))
            if not message.get("more_body", False):
                self.end()
        else:  # a file, by its path: not seen here
            self.answer.whole = False


def _headers(message: Message) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.get("headers", ())}
