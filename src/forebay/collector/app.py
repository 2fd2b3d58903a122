"""The collector's routes: authenticate, admit, decode, append, answer.

| route                | protocol | body                                |
|----------------------|----------|-------------------------------------|
| POST /v1/reports     | native   | core/wire.py, protocols/native.py   |
| POST /v1/schemas     | native   | `{"sdl": "…"}`                      |
| POST /wg.cosmo…      | Cosmo    | protocols/cosmo.py                  |
| GET /health          |          |                                     |

Every refusal has a status, a reason and a counter; none ends in a traceback.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..access import Denied, Scope, SigningKeys
from ..core import wire
from ..core.record import SchemaColumns, ShapeColumns, TallyColumns, columns_of
from ..core.shape import content_hash
from ..errors import ForebayError, RejectRecord, RetryLater
from ..insights.mistakes import BadSchema
from ..insights.published import build
from ..journal.port import Appender
from ..metrics import REFUSED
from .admission import Admission, Limits
from .intake import Delivery, Intake
from .protocols import cosmo, native

STATUS = {"malformed": 400, "too_large": 413, "encoding": 415, "media_type": 415}
"""Reason of a RejectRecord → HTTP status of the native protocol."""

COSMO_CODE = {"too_large": "invalid_argument", "malformed": "invalid_argument", "encoding": "unimplemented"}


class Collector:
    """Holds what the routes share.  Used from one event loop."""

    def __init__(
        self,
        journal: Appender,
        keys: SigningKeys,
        limits: Limits,
        clock: Callable[[], float] = time.time,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        """`trouble`: what keeps the journal from taking what is acknowledged, if anything does."""
        self._trouble = trouble
        self._keys = keys
        self._clock = clock
        self._admission = Admission(limits)
        self._intake = Intake(journal, limits, clock)
        self._native = native.Normaliser()
        self._cosmo = cosmo.Normaliser()

    def routes(self) -> list[Route]:
        methods = ["GET", "POST", "PUT", "DELETE", "PATCH"]  # each answers for itself what it does not take
        return [
            Route(wire.PATH, self._reports, methods=["POST"]),
            Route("/v1/schemas", self._schemas, methods=["POST"]),
            *(Route(path, self._cosmo_call, methods=methods) for path in cosmo.PATHS),
            Route("/health", self._health, methods=["GET"]),
        ]

    async def _reports(self, request: Request) -> Response:
        try:
            identity = self._keys.verify(request.headers.get("authorization"), Scope.WRITE)
            with self._admission.reserve(_declared(request) or self._admission.limits.compressed_bytes):
                await self._intake.take(identity, self._read(await self._json_body(request)))
        except (ForebayError, ClientDisconnect) as exc:
            return _native_refusal(exc)
        return _json({"accepted": True})

    def _read(self, body: bytes) -> Delivery:
        report, named = self._native.read(body)
        return Delivery("native", report, named, report.agent, report.sequence, report.lost, report.executions)

    async def _schemas(self, request: Request) -> Response:
        try:
            identity = self._keys.verify(request.headers.get("authorization"), Scope.WRITE)
            with self._admission.reserve(_declared(request) or self._admission.limits.compressed_bytes):
                schema = _schema(await self._json_body(request))
                await self._intake.publish(identity, schema)
        except (ForebayError, ClientDisconnect) as exc:
            return _native_refusal(exc)
        return _json({"accepted": True, "schema_version": schema.id})

    async def _json_body(self, request: Request) -> bytes:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RejectRecord("media_type", "send Content-Type: application/json")
        return await self._body(request)

    async def _body(self, request: Request) -> bytes:
        body = await self._admission.read(request.stream(), _declared(request))
        return self._admission.decompress(body, request.headers.get("content-encoding", ""))

    async def _cosmo_call(self, request: Request) -> Response:
        try:
            identity = self._keys.verify(request.headers.get("authorization"), Scope.WRITE)
        except Denied as exc:
            REFUSED.labels("cosmo", "forbidden" if exc.forbidden else "unauthenticated").inc()
            return _answer(cosmo.failure("permission_denied", str(exc))) if exc.forbidden else Response(status_code=401)
        headers = dict(request.headers)
        if refusal := cosmo.refusal(request.method, headers):
            REFUSED.labels("cosmo", "protocol").inc()
            return _answer(refusal)
        try:
            with self._admission.reserve(_declared(request) or self._admission.limits.compressed_bytes):
                await self._intake.take(identity, self._read_cosmo(request, await self._body(request)))
        except RejectRecord as exc:
            REFUSED.labels("cosmo", exc.reason).inc()
            return _answer(cosmo.failure(COSMO_CODE.get(exc.reason, "invalid_argument"), str(exc)))
        except (RetryLater, ClientDisconnect) as exc:
            REFUSED.labels("cosmo", _passing(exc)).inc()
            return _answer(cosmo.failure("unavailable", str(exc) or "the connection was cut"))
        return _answer(cosmo.success(headers["content-type"]))

    def _read_cosmo(self, request: Request, body: bytes) -> Delivery:
        call, minute = cosmo.PATHS[request.url.path], int(self._clock()) // 60
        codec = cosmo.codec_of(request.headers["content-type"]) or ""
        batch = self._cosmo.batch(call, codec, body, minute)
        columns = TallyColumns(**columns_of(batch.tallies))  # type: ignore[arg-type]  # its inverse
        named = {id_: partial(ShapeColumns.of, shape) for id_, shape in batch.shapes.items()}
        return Delivery("cosmo", columns, named)

    async def _health(self, request: Request) -> Response:
        return _json({"status": "ok", "trouble": self._trouble()})  # it takes reports in all the same


def _schema(body: bytes) -> SchemaColumns:
    class Published(msgspec.Struct):
        sdl: str

    try:
        sdl = msgspec.json.decode(body, type=Published).sdl
    except (msgspec.DecodeError, RecursionError) as exc:
        raise RejectRecord("malformed", str(exc)) from exc
    build(sdl, "schema", strict=False)
    return SchemaColumns(id=content_hash(sdl.encode()), sdl=sdl)


def _native_refusal(exc: Exception) -> Response:
    headers: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
    match exc:
        case BadSchema():
            status, code, problems = 400, "invalid_schema", {"problems": exc.problems}
        case Denied():
            status, code = (403, "forbidden") if exc.forbidden else (401, "unauthenticated")
        case RejectRecord():
            status, code = STATUS.get(exc.reason, 400), exc.reason
        case RetryLater():
            status, code = 503, _passing(exc)
            headers = {"retry-after": str(max(1, round(exc.retry_after)))}
        case ClientDisconnect():
            status, code = 400, _passing(exc)
        case _:
            raise exc
    REFUSED.labels("native", code).inc()
    return _json({"code": code, "message": str(exc), **problems}, status, headers)


def _passing(exc: RetryLater | ClientDisconnect) -> str:
    return exc.reason if isinstance(exc, RetryLater) else "disconnected"


def _declared(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _answer(answer: cosmo.Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")
