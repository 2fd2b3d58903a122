"""Any WSGI app: a middleware that reads GraphQL requests and their answers as they pass.

    from forebay.agent.integrations.wsgi import Forebay

    app.wsgi_app = Forebay(app.wsgi_app, schema)              # Flask
    application = Forebay(get_wsgi_application(), schema)     # Django

Headers and chunks are the app's own, passed on as they come; an answer that is a list stays that
list.  It goes inside of what compresses answers, since a compressed one is not looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from graphql import GraphQLSchema

from .exchange import Exchange, Watch
from .over_http import Request

Environment = dict[str, Any]
App = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]


class Forebay(Watch):
    """The app, watched.  `client` is given the WSGI environment; the other options are those of Watch."""

    def __init__(
        self, app: App, schema: GraphQLSchema | str, url: str | None = None, token: str | None = None, **options: Any
    ) -> None:
        super().__init__(schema, url, token, **options)
        self._app = app

    def __call__(self, environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen = self.attempt(self._begin, environ)
        if seen is None:
            return self._app(environ, start_response)

        def started(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            write = start_response(status, headers, *exc_info)
            self.attempt(_answers, seen, status, headers)

            def written(chunk: bytes) -> Any:
                given = write(chunk)
                self.attempt(seen.answer.add, chunk)
                return given

            return written

        try:
            answer = self._app(environ, started)
        except BaseException as exc:
            self.attempt(_break, seen, exc)
            raise
        if isinstance(answer, list | tuple):  # servers take the length of one for the answer's
            self.attempt(_end, seen, answer)
            return answer
        return (_Counted if hasattr(answer, "__len__") else _Chunks)(answer, seen, self)

    def _begin(self, environ: Environment) -> Exchange | None:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] not in ("GET", "POST") or not self.watches(path):
            return None
        request = Request(
            environ["REQUEST_METHOD"],
            environ.get("QUERY_STRING", ""),
            environ.get("CONTENT_TYPE", ""),
            environ.get("HTTP_CONTENT_ENCODING", ""),
        )
        seen = Exchange(self, request, environ)
        environ["wsgi.input"] = _Input(environ["wsgi.input"], seen, self)
        return seen


def _answers(seen: Exchange, status: str, headers: list[tuple[str, str]]) -> None:
    header = {name.lower(): value for name, value in headers}.get
    seen.answers(int(status[:3]), header("content-type", ""), header("content-encoding", ""))


def _end(seen: Exchange, answer: Iterable[bytes]) -> None:
    for chunk in answer:
        seen.answer.add(chunk)
    seen.end()


def _break(seen: Exchange, exc: BaseException) -> None:
    if isinstance(exc, Exception):
        seen.fails()
    seen.end()


class _Input:
    """The request's body: what the app reads of it is also kept; all else is the server's own object."""

    def __init__(self, stream: Any, seen: Exchange, watch: Watch) -> None:
        self._stream, self._seen, self._watch = stream, seen, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        if name in ("read", "read1", "readline"):
            return lambda *args: self._keep(found(*args))
        if name in ("readinto", "readinto1"):
            return lambda buffer: self._filled(buffer, found(buffer))
        if name == "readlines":
            return lambda *args: [self._keep(line) for line in found(*args)]
        return found

    def __iter__(self) -> Iterator[bytes]:
        return map(self._keep, self._stream)

    def _keep(self, chunk: bytes) -> bytes:
        self._watch.attempt(self._seen.body.add, chunk)
        return chunk

    def _filled(self, buffer: Any, number: int) -> int:
        self._watch.attempt(lambda: self._seen.body.add(bytes(memoryview(buffer)[:number])))
        return number


class _Chunks:
    """The answer's chunks as the app yields them."""

    def __init__(self, answer: Any, seen: Exchange, watch: Watch) -> None:
        self._answer, self._seen, self._watch = answer, seen, watch
        if hasattr(answer, "close"):
            self.close = self._close

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._answer:
                self._watch.attempt(self._seen.answer.add, chunk)
                yield chunk
        except BaseException as exc:
            self._watch.attempt(_break, self._seen, exc)
            raise
        finally:
            self._watch.attempt(self._seen.end)

    def _close(self) -> None:
        try:
            self._answer.close()
        finally:
            self._watch.attempt(self._seen.end)


class _Counted(_Chunks):
    """Of an answer that has a length, which servers ask for."""

    def __len__(self) -> int:
        return len(self._answer)
