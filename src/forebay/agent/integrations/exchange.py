"""What a middleware sees of one HTTP exchange, and what of it is counted in the end.

Bodies pass by: of each only a bounded beginning is kept until the answer has ended.  A middleware
calls every step through `attempt`, so that whatever fails here never reaches the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Any, Final

from graphql import GraphQLSchema, assert_schema, build_schema

from .. import recorder
from ..http_answer import STREAMS
from ..http_request import NOTHING_EXECUTED, Asked, kind_of
from ..persisted import Documents
from .over_http import Request, answered_with, asked_by
from .reporters import Reporters

REQUEST_BYTES: Final = 2 * 2**20
"""Of a request's body that are kept; a document and variables beyond them are not known."""
ANSWER_BYTES: Final = 2**18
"""Of an answer's body that are kept; whether a longer one has errors is not known, and not claimed."""


class Watch(Reporters):
    """What the middlewares share: the schema that the app serves, at which paths, and its persisted documents.

    `schema` is graphql-core's, or the text of one.  `path` is the GraphQL address, or several;
    what goes to others is not looked at.  `documents` are persisted documents by id, where the
    app has a list of its own.  `client` tells who asks, given the request.  `options` are those
    of Reporter.
    """

    def __init__(
        self,
        schema: GraphQLSchema | str,
        url: str | None = None,
        token: str | None = None,
        *,
        path: str | Iterable[str] = "/graphql",
        documents: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(url, token, **options)
        self._paths = {_plain(each) for each in ([path] if isinstance(path, str) else path)}
        self.documents = Documents(documents)
        self._schema: GraphQLSchema | None = None
        try:
            self._load(schema)
        except Exception:
            self.faults.note("schema", "nothing is reported: schema must be a GraphQLSchema, or the text of one")

    def attempt(self, step: Callable[..., Any], *args: Any) -> Any:
        """The step's value; None if it fails, which is a fault of the agent."""
        try:
            return step(*args)
        except Exception as exc:
            self.faults.note("integration", exc)
            return None

    def watches(self, path: str) -> bool:
        """Whether this is a GraphQL address."""
        return self._schema is not None and _plain(path) in self._paths

    def tally(self, source: str | None, asked: Asked, asking: Any, **outcome: Any) -> None:
        """Count one request of the watched schema."""
        if self._schema is not None:
            self.count(self._schema, asking, recorder.Request(source, asked.operation_name, asked.variables, **outcome))

    def _load(self, schema: GraphQLSchema | str) -> None:
        if isinstance(schema, str):
            text = schema
            self._schema = build_schema(text, assume_valid_sdl=True)
            self._options.setdefault("sdl", lambda: text)
        else:
            self._schema = assert_schema(schema)


class Exchange:
    """One request and its answer.  `asking` is the request as the host's function `client` takes it."""

    def __init__(self, watch: Watch, request: Request, asking: Any) -> None:
        self._watch, self._request, self._asking = watch, request, asking
        self.body = Head(REQUEST_BYTES if request.method == "POST" else 0)
        self.answer = Head(0)
        self._status, self._began, self._counted = 0, perf_counter(), False

    def answers(self, status: int, content_type: str, content_encoding: str) -> None:
        """The answer begins.  One that goes on for as long as its events do is counted now, without a duration."""
        self._status = status
        kind = kind_of(content_type)
        if kind in STREAMS:
            self._count(None)
        elif kind.endswith("json") and content_encoding in ("", "identity"):
            self.answer = Head(ANSWER_BYTES)

    def fails(self) -> None:
        """The app raised: its server answers 500, unless the answer had begun."""
        self._status = self._status or 500

    def end(self) -> None:
        """The answer has ended, or broke off; counts once.  Status 0: there was none, as when a client goes away."""
        self._count(perf_counter() - self._began)

    def _count(self, seconds: float | None) -> None:
        if self._counted:
            return
        self._counted = True
        asked = asked_by(self._request, self.body.start(), self.body.whole)
        answer = self.answer.start() if self.answer.whole else None
        answered = answered_with(self._status, answer, len(asked))
        for one, (errors, executed, refused, at) in zip(asked, answered, strict=True):
            source = self._watch.documents.source(one)
            if source is None and refused:
                source = NOTHING_EXECUTED
            outcome = {"errors": at or errors, "executed": executed, "seconds": seconds, "status": self._status}
            self._watch.tally(source, one, self._asking, **outcome)


class Head:
    """The first bytes of a body that passes by."""

    def __init__(self, limit: int) -> None:
        self._chunks: list[bytes] = []
        self._left = limit
        self.whole = True

    def add(self, chunk: bytes) -> None:
        """Keep as much of the chunk as there is room for."""
        if len(chunk) > self._left:
            self.whole = False
            chunk = chunk[: self._left]
        if chunk:
            self._chunks.append(bytes(chunk))
            self._left -= len(chunk)

    def start(self) -> bytes:
        """What was kept."""
        return b"".join(self._chunks)


def _plain(path: str) -> str:
    return "/" + path.strip("/")
