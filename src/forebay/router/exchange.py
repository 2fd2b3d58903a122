"""One HTTP request and its answer, watched while they pass; counted when the answer has ended.

Nothing here raises into the proxy, and nothing waits: what passes is copied within bounds, and
looked at once it has passed.  An answer that comes in pieces (events, incremental delivery) may
last for days: it is counted when it ends or after some seconds, by what was seen until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from .. import metrics
from ..agent.client_headers import client_of
from ..agent.http_answer import STREAMS, Outcome, outcomes
from ..agent.http_request import NOTHING_EXECUTED, Asked, Unreadable, in_body, in_query, kind_of
from .copies import Budget, Copy
from .decoding import decoded
from .faults import quietly
from .recording import Recording

STREAM_AFTER: Final = 5.0
"""Seconds after which an answer in pieces is counted, though it goes on."""

GONE: Final = 499
"""The status of a request whose client went away before the answer began."""

Headers = Mapping[str, str]


class Exchange:
    """`request`, `head` and `answer` as things pass; `end` once, whatever happened."""

    def __init__(self, recording: Recording, budget: Budget, look: int) -> None:
        self._recording, self._look = recording, look
        self._request, self._answer = Copy(look, budget), Copy(look, budget, keep_tail=True)
        self._began = asyncio.get_running_loop().time()
        self._method = self._query = ""
        self._asking: Headers = {}
        self._answering: Headers = {}
        self._status = GONE
        self._counted = False
        self._timer: asyncio.TimerHandle | None = None

    @quietly
    def begin(self, method: str, query: str, headers: Headers) -> None:
        self._method, self._query, self._asking = method, query, headers

    @quietly
    def request(self, chunk: bytes) -> None:
        """A piece of the request's body."""
        self._request.add(chunk)

    @quietly
    def head(self, status: int, headers: Headers) -> None:
        """The answer begins."""
        self._status, self._answering = status, headers
        if kind_of(headers.get("Content-Type", "")) in STREAMS:
            self._timer = asyncio.get_running_loop().call_later(STREAM_AFTER, self.end, False)

    @quietly
    def answer(self, chunk: bytes) -> None:
        """A piece of the answer's body."""
        if not self._counted:
            self._answer.add(chunk)

    @quietly
    def end(self, ended: bool = True) -> None:
        """Count it, once.  `ended` is false where the answer was not seen to its end."""
        if self._counted:
            return
        self._counted = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._count(asyncio.get_running_loop().time() - self._began if ended else None)
        finally:
            self._request.drop()
            self._answer.drop()

    def _count(self, seconds: float | None) -> None:
        if self._method in ("OPTIONS", "HEAD", "TRACE"):
            return
        client = client_of(self._asking.get)
        try:
            asked = self._asked()
        except Unreadable as exc:
            self._recording.count_unread(str(exc), self._outcomes(), client, self._status, seconds)
            return
        if 400 <= self._status < 500:  # then what names no document was not executed
            asked = [one if one.source or one.document else one._replace(source=NOTHING_EXECUTED) for one in asked]
        if asked:
            weight = self._request.size + len(self._query)
            self._recording.count(asked, self._outcomes(), client, self._status, seconds, weight)

    def _asked(self) -> list[Asked]:
        """What the request asked; nothing, if it is none of GraphQL's.  Raises Unreadable, with a counter's word."""
        content_type = self._asking.get("Content-Type", "")
        kind = kind_of(content_type)
        if self._request.head() or not self._request.whole:
            body, whole = self._request.head(), self._request.whole
            try:
                if encoding := self._asking.get("Content-Encoding"):
                    body, ended = decoded(encoding, body, self._look)
                    whole = whole and ended
            except Unreadable:
                raise Unreadable("encoding") from None
            upload = kind == "multipart/form-data"
            if not whole and not upload:
                raise Unreadable("too_large")
            try:
                return in_body(content_type, body, self._query)
            except Unreadable:
                if not whole:
                    raise Unreadable("too_large") from None
                if kind and not upload and not kind.endswith("json"):
                    return []
                return [Asked(None)]
        return in_query(self._query)

    def _outcomes(self) -> list[Outcome]:
        head, tail = self._answer.head(), self._answer.tail()
        if encoding := self._answering.get("Content-Encoding"):
            try:
                head, whole = decoded(encoding, head, self._look)
            except Unreadable:
                metrics.ROUTER_UNREAD.labels("encoding").inc()
                return []
            tail = None if whole else b""
        if tail == b"":
            metrics.ROUTER_UNREAD.labels("too_large").inc()
        return outcomes(self._answering.get("Content-Type", ""), head, tail)
