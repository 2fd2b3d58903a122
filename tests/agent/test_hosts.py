"""The middlewares around real frameworks: every request counts, and not one byte changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import drive
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from fake_collector import FakeCollector, fake_collector
from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from flask import Flask, Response, jsonify, request
from graphql import build_schema, graphql_sync

from forebay.agent.integrations import asgi, wsgi

SCHEMA = build_schema('type Query { book(title: String! = "Emma"): String! }')
CHUNKS = [b'{"data": ', b'{"book": "Emma"}}']
JSON = "application/json"


def result_of(asked: Any) -> Any:
    root = {"book": lambda info, title: title}
    return graphql_sync(SCHEMA, asked["query"], root, variable_values=asked.get("variables")).formatted


def fastapi_app() -> Any:
    app = FastAPI()

    @app.post("/graphql")
    async def answer(asked: Any = Body()) -> JSONResponse:  # noqa: B008  FastAPI's way
        return JSONResponse(result_of(asked))

    @app.post("/stream")
    async def stream(asked: Any = Body()) -> StreamingResponse:  # noqa: B008
        return StreamingResponse(iter(CHUNKS), media_type=JSON)

    return app


def flask_app() -> Any:
    app = Flask(__name__)

    @app.post("/graphql")
    def answer() -> Response:
        return jsonify(result_of(request.get_json()))

    @app.post("/stream")
    def stream() -> Response:
        asked = request.get_json()
        return Response((chunk for chunk in CHUNKS if asked), mimetype=JSON)

    return app


def django_answer(request: Any) -> Any:
    return HttpResponse(json.dumps(result_of(json.loads(request.body))), content_type=JSON)


def django_stream(request: Any) -> Any:
    return StreamingHttpResponse(iter([request.body and chunk for chunk in CHUNKS]), content_type=JSON)


urlpatterns = [path("graphql", django_answer), path("stream", django_stream)]


def django_app(get: Callable[[], Any]) -> Any:
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
    return get()


class Host(NamedTuple):
    app: Callable[[], Any]
    forebay: Any
    drive: Callable[..., list[Any]]


HOSTS = {
    "fastapi": Host(fastapi_app, asgi.Forebay, drive.asgi),
    "flask": Host(flask_app, wsgi.Forebay, drive.wsgi),
    "django, wsgi": Host(lambda: django_app(get_wsgi_application), wsgi.Forebay, drive.wsgi),
    "django, asgi": Host(lambda: django_app(get_asgi_application), asgi.Forebay, drive.asgi),
}


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's own, of one that is served by ASGI
@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_real_host_answers_the_same_bytes_and_every_request_counts(host: Host, collector: FakeCollector) -> None:
    app = host.app()
    forebay = host.forebay(app, SCHEMA, collector.url, "token", interval=60, path=("/graphql", "/stream"))
    headers = [("Content-Type", JSON), ("Host", "service"), ("graphql-client-name", "web")]
    for address in ("/graphql", "/stream"):
        for document in ("query A { book }", "query B { none }", "{"):
            chunks = [json.dumps({"query": document}).encode()]
            given = host.drive(forebay, chunks, path=address, headers=headers)
            assert given == host.drive(app, chunks, path=address, headers=headers)
            assert "Emma" in str(given) or document != "query A { book }"
    assert host.drive(forebay, [b"{}"], path="/none", headers=headers) == host.drive(
        app, [b"{}"], path="/none", headers=headers
    )
    assert forebay.close()
    usage = collector.usage()
    assert sum(usage.values()) == 6
    assert usage["web", "", "A", False] == 2
    assert usage["web", "", "B", True] == 1
    assert forebay.faults.counts == {}
