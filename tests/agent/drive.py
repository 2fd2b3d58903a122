"""ASGI and WSGI apps driven by hand: every message, header and chunk that they give, as they give it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

CONNECT = object()
Headers = Iterable[tuple[str, str]]


def socket(
    app: Any,
    messages: Iterable[Any],
    path: str = "/",
    headers: Headers = (),
    protocol: str = "graphql-transport-ws",
) -> list[Any]:
    """What a WebSocket gives to these JSON messages; after each, what ends its operation is awaited.

    By the older protocol a result ends the operation of an id that begins with "query".
    """

    async def driven() -> list[Any]:
        given: list[Any] = []
        ended = asyncio.Event()
        ended.set()
        todo = iter([CONNECT, *messages])

        async def receive() -> dict[str, Any]:
            await ended.wait()
            ended.clear()
            message = next(todo, None)
            if message is None:
                return {"type": "websocket.disconnect", "code": 1000}
            if message is CONNECT:
                return {"type": "websocket.connect"}
            return {"type": "websocket.receive", "text": json.dumps(message)}

        async def send(message: dict[str, Any]) -> None:
            given.append(message)
            said = json.loads(message["text"]) if message.get("text") else message
            word = "complete" if said["type"] == "data" and said["id"].startswith("query") else said["type"]
            if word in ("websocket.accept", "connection_ack", "complete", "error", "websocket.close"):
                ended.set()

        scope = scope_of("websocket", path, headers) | {"scheme": "ws", "subprotocols": [protocol]}
        await asyncio.wait_for(app(scope, receive, send), 10)
        return given

    return asyncio.run(driven())


def scope_of(kind: str, path: str, headers: Headers, method: str = "POST", query: str = "") -> dict[str, Any]:
    """An ASGI scope."""
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "server": ("service", 80),
        "client": ("127.0.0.1", 1),
    }


def asgi(
    app: Any,
    chunks: list[bytes],
    method: str = "POST",
    path: str = "/graphql",
    query: str = "",
    headers: Headers = (),
) -> list[Any]:
    """The messages that an app sends for one request, whose body comes in these chunks; and what it raised."""

    async def driven() -> list[Any]:
        given: list[Any] = []
        todo = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks or [b""]]
        todo[-1]["more_body"] = False

        ended = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if todo:
                return todo.pop(0)
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            given.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ended.set()

        try:
            await app(scope_of("http", path, headers, method, query), receive, send)
        except Exception as exc:
            given.append(repr(exc))
        return given

    return asyncio.run(driven())


def wsgi(
    app: Any,
    chunks: list[bytes],
    method: str = "POST",
    path: str = "/graphql",
    query: str = "",
    headers: Headers = (),
) -> list[Any]:
    """The calls of start_response, the chunks and the close that an app gives for one request; and what it raised."""
    body = b"".join(chunks)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }  # fmt: skip
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    setup_testing_defaults(environ)
    given: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        given.append((status, headers))
        return lambda chunk: given.append(("write", chunk))

    try:
        answer = app(environ, start_response)
        try:
            given.append(len(answer) if hasattr(answer, "__len__") else "no length")
            given.extend(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
    except Exception as exc:
        given.append(repr(exc))
    return given
