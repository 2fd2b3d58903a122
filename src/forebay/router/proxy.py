"""The reverse proxy: every request goes to the upstream and its answer comes back, piece by piece, unchanged.

What it must answer by itself has a status, a reason and a counter: 400 for a request that can't
be passed on, 502 when the upstream can't be reached or breaks off before its answer, 503 when too
much is in flight, 504 when it does not begin to answer in time.  Later an answer that breaks off at
the upstream breaks off at the client.  A client that goes away ends its request at the upstream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from aiohttp import ClientResponse, web
from yarl import URL

from .. import metrics
from ..settings import RouterSettings
from . import plain_bytes
from .exchange import Exchange
from .faults import note
from .forward import end_to_end, for_upstream, upgrading
from .tunnel import tunnel
from .watch import Watch

_OWN_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add to a request."""

_STATUS: Final = {number: metrics.ROUTED.labels(f"{number}xx") for number in range(1, 6)}


class Request(web.BaseRequest):
    """A request whose answer has the headers that it is given, and no more."""

    bare: web.StreamResponse | None = None
    absent: tuple[str, ...] = ()

    async def _prepare_hook(self, resp: web.StreamResponse) -> None:
        if resp is self.bare:
            for name in self.absent:
                resp.headers.popall(name, None)


class Refused(Exception):
    """The router's own answer; `reason` is a word that is counted."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Proxy:
    """Passes requests on to one upstream.  `handle` is a handler of aiohttp's server.

    `draining`: answers close their connections.
    """

    def __init__(
        self,
        upstream: URL,
        watch: Watch,
        settings: RouterSettings,
    ) -> None:
        head = settings.head_kib * 2**10
        plain_bytes.use()
        self._origin, self._watch = str(upstream.origin()), watch
        self._host = "" if settings.host == "client" else upstream.raw_authority.rpartition("@")[2]
        self._answer, self._most = settings.answer, settings.requests
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=settings.keep_alive, enable_cleanup_closed=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect),
            auto_decompress=False,
            skip_auto_headers=_OWN_HEADERS,
            max_line_size=head,
            max_field_size=head,
        )
        self.in_flight = 0
        self.draining = False

    async def close(self) -> None:
        await self._session.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, Request)
        exchange: Exchange | None = None
        self.in_flight += 1
        try:
            target = _target(request)
            exchange = self._watch.begin(request.method, target, request.headers)
            try:
                if self.in_flight > self._most:
                    raise Refused(503, "busy", f"{self._most} requests are in flight")
                response = await self._pass(request, target, exchange)
            except Refused as refusal:
                response = _refuse(refusal, exchange)
            except ConnectionError:  # the client went away while it was answered
                raise
            except Exception as exc:
                note("proxy", exc)
                response = _refuse(Refused(500, "fault", "a fault of the router's own; its log tells"), exchange)
            if self.draining:
                response.force_close()
            return response
        except asyncio.CancelledError:
            metrics.ROUTER_CUT.labels("client").inc()
            if exchange:
                exchange.end(False)
            raise
        finally:
            if exchange:
                exchange.end()
            self.in_flight -= 1

    async def _pass(self, request: Request, target: str, exchange: Exchange | None) -> web.StreamResponse:
        body = _Body(request, exchange)
        answer = await self._ask(request, target, body)
        try:
            if answer.status == 101:
                return await tunnel(request, answer, self._watch.recording, self._watch.look, self._watch.budget)
            _STATUS[min(max(answer.status // 100, 1), 5)].inc()
            if exchange:
                exchange.head(answer.status, answer.headers)
            return await self._give_back(request, answer, exchange)
        except BaseException:
            answer.close()
            raise
        finally:
            answer.release()

    async def _ask(self, request: Request, target: str, body: _Body) -> ClientResponse:
        """The upstream's answer, as soon as its head is there."""
        headers = for_upstream(request.raw_headers, request.remote, request.scheme, self._host)
        if upgrading(request.headers):
            headers["Upgrade"], headers["Connection"] = request.headers["Upgrade"], "Upgrade"
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        try:
            async with asyncio.timeout(self._answer) as patience:
                answer = await self._session.request(
                    request.method,
                    URL(self._origin + target, encoded=True),
                    data=body.at_once() or body.pieces(patience, self._answer),
                    headers=headers,
                    allow_redirects=False,
                )
                body.answered = True
                return answer
        except TimeoutError as exc:
            if isinstance(exc, aiohttp.ClientError):
                raise Refused(502, "unreachable", "the upstream takes no connection in time") from exc
            raise Refused(504, "timeout", f"the upstream has not begun to answer in {self._answer:g} s") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            if body.broken:
                raise Refused(400, "body", "the request's body can't be read") from exc
            if isinstance(exc, ValueError):  # among them headers that can't be written
                raise Refused(400, "request", "the request can't be passed on") from exc
            if isinstance(exc, aiohttp.ClientConnectorError):
                raise Refused(502, "unreachable", "the upstream can't be reached") from exc
            raise Refused(502, "broken", f"the upstream gave no answer ({type(exc).__name__})") from exc

    async def _give_back(
        self, request: Request, answer: ClientResponse, exchange: Exchange | None
    ) -> web.StreamResponse:
        headers = end_to_end(answer.raw_headers)
        request.absent = tuple(name for name in ("Content-Type", "Server") if name not in headers)
        content = answer.content
        if content.is_eof() and request.method != "HEAD":  # all of it came with the head
            whole = content.read_nowait()
            if exchange and whole:
                exchange.answer(whole)
            small = web.Response(body=whole, status=answer.status, reason=answer.reason, headers=headers)
            request.bare = small
            await small.prepare(request)
            await small.write_eof()  # before it is looked at
            return small
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        request.bare = response
        await response.prepare(request)
        try:
            async for chunk in content.iter_any():
                if exchange:
                    exchange.answer(chunk)
                await response.write(chunk)
        except aiohttp.ClientError:
            gone = request.transport is None or request.transport.is_closing()
            metrics.ROUTER_CUT.labels("client" if gone else "upstream").inc()
            if exchange:
                exchange.end(False)
            response.force_close()
            if request.transport is not None:
                request.transport.abort()
            return response
        if exchange:
            exchange.end()
        await response.write_eof()
        return response


class _Body:
    """A request's body on its way to the upstream."""

    def __init__(self, request: Request, exchange: Exchange | None) -> None:
        self._request, self._exchange = request, exchange
        self.broken = self.answered = False

    def at_once(self) -> bytes | None:
        """All of it, if it is here already."""
        if not self._request.body_exists or not self._request.content.is_eof():
            return None
        whole = self._request.content.read_nowait()
        if self._exchange and whole:
            self._exchange.request(whole)
        return whole

    def pieces(self, patience: asyncio.Timeout, seconds: float) -> AsyncIterator[bytes] | None:
        """Piece by piece; the upstream's time to answer begins anew with each."""
        return self._pieces(patience, seconds) if self._request.body_exists else None

    async def _pieces(self, patience: asyncio.Timeout, seconds: float) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            async for chunk in self._request.content.iter_any():
                if self._exchange:
                    self._exchange.request(chunk)
                yield chunk
                if not self.answered:
                    patience.reschedule(loop.time() + seconds)
        except Exception:
            self.broken = True
            raise


def _target(request: Request) -> str:
    """The path and query, as they were sent; of an absolute target only these."""
    target = request.raw_path
    if target.startswith("/"):
        return target
    return URL(target, encoded=True).raw_path_qs if "://" in target else f"/{target}"


def _refuse(refusal: Refused, exchange: Exchange | None) -> web.Response:
    metrics.ROUTER_REFUSED.labels(refusal.reason).inc()
    error = {"message": f"forebay router: {refusal}", "extensions": {"code": refusal.reason.upper()}}
    body = json.dumps({"errors": [error]}).encode()
    headers = {"Content-Type": "application/json", "Server": "forebay-router"}
    response = web.Response(status=refusal.status, body=body, headers=headers)
    if exchange:
        exchange.head(refusal.status, response.headers)
        exchange.answer(body)
    return response
