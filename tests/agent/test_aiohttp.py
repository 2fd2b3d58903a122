"""The aiohttp middleware on a real server: every request counts, and not one byte changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from broken import STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector
from graphql import build_schema, graphql_sync

from forebay.agent.integrations.aiohttp import Forebay
from forebay.agent.integrations.exchange import Exchange

SCHEMA = build_schema("scalar Upload type Query { hello: String! fail: Int size(file: Upload!): Int }")


class Root:
    def hello(self, info: Any) -> str:
        return "hello"

    def fail(self, info: Any) -> int:
        raise RuntimeError("private")

    def size(self, info: Any, file: Any) -> int:
        return len(file)


async def served(request: web.Request) -> web.StreamResponse:
    if request.method == "GET":
        asked: Any = dict(request.query)
    elif request.content_type == "multipart/form-data":
        form = await request.post()
        asked = json.loads(str(form["operations"]))
        asked["variables"]["file"] = form["0"].file.read().decode()  # type: ignore[union-attr]
    else:
        asked = await request.json()
    return web.json_response(
        graphql_sync(SCHEMA, asked["query"], Root(), variable_values=asked.get("variables")).formatted
    )


async def refused(request: web.Request) -> web.StreamResponse:
    raise web.HTTPUnauthorized(text="who are you?")


async def failing(request: web.Request) -> web.StreamResponse:
    await request.read()
    raise RuntimeError("the app's own")


async def streaming(request: web.Request) -> web.StreamResponse:
    await request.read()
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    for chunk in (b'{"data":', b" {}}"):
        await answer.write(chunk)
    return answer


async def dissecting(request: web.Request) -> web.StreamResponse:
    async for part in await request.multipart():
        await part.read()  # type: ignore[union-attr]
    return web.json_response({"data": {}})


HANDLERS = {"/graphql": served, "/refused": refused, "/failing": failing, "/streaming": streaming, "/parts": dissecting}


async def asked(forebay: Forebay | None, requests: list[tuple[str, str, dict[str, Any]]]) -> list[Any]:
    """The answers, whole, of a server on a port of its own."""
    app = web.Application(middlewares=[forebay.middleware] if forebay else [])
    for path, handler in HANDLERS.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    answers = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for method, path, options in requests:
            async with http.request(method, path, **options) as answer:
                headers = [pair for pair in answer.raw_headers if pair[0] != b"Date"]
                answers.append((answer.status, headers, await answer.read()))
    await runner.cleanup()
    return answers


def upload() -> dict[str, Any]:
    form = aiohttp.FormData()
    document = "query U($file: Upload!) { size(file: $file) }"
    form.add_field("operations", json.dumps({"query": document, "variables": {"file": None}}))
    form.add_field("map", json.dumps({"0": ["variables.file"]}))
    form.add_field("0", b"content", filename="a.txt")
    return {"data": form}


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    asking = {"json": {"query": "query A { hello }"}}
    return [
        ("POST", "/graphql", asking),
        ("POST", "/graphql", {"json": {"query": "query B { fail }"}}),
        ("POST", "/graphql", {"json": {"query": "query C { none }"}}),
        ("POST", "/graphql", {"data": b"rubbish"}),
        ("GET", "/graphql", {"params": {"query": "query D { hello }"}}),
        ("POST", "/graphql", upload()),
        ("POST", "/refused", asking),
        ("POST", "/failing", asking),
        ("POST", "/streaming", asking),
        ("POST", "/parts", upload()),
        ("POST", "/elsewhere", asking),
    ]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


def watching(collector: FakeCollector, **options: Any) -> Forebay:
    return Forebay(SCHEMA, collector.url, "token", interval=60, path=HANDLERS, **options)


def test_every_request_counts_with_its_outcome_and_answers_are_the_same_bytes(collector: FakeCollector) -> None:
    forebay = watching(collector)
    assert asyncio.run(asked(forebay, requests())) == asyncio.run(asked(None, requests()))
    assert forebay.close()
    assert collector.usage() == {
        ("", "", "A", False): 2,  # one of them streamed: whether it has errors is not known
        ("", "", "B", True): 1,
        ("", "", "C", True): 1,
        ("", "", "", True): 2,  # rubbish, which the app fails on; and the refused one, whose body nobody read
        ("", "", "D", False): 1,
        ("", "", "U", False): 1,
        ("", "", "A", True): 1,
        ("", "", "", False): 1,  # the upload that the handler took apart by itself
    }
    assert forebay.faults.counts == {}


@pytest.mark.parametrize("step", [*STEPS, *((Exchange, name) for name in ("__init__", "answers", "end"))], ids=name_of)
def test_answers_are_the_same_bytes_whichever_step_of_the_agent_is_broken(collector: FakeCollector, step: Any) -> None:
    bare = asyncio.run(asked(None, requests()))
    with broken(step) as reached:
        forebay = watching(collector)
        assert asyncio.run(asked(forebay, requests())) == bare
        forebay.flush(0)
        wait_for(reached)
    forebay.close(0)


def test_the_client_is_named_by_headers_or_a_function_of_the_request(collector: FakeCollector) -> None:
    request = ("POST", "/graphql", {"json": {"query": "{ hello }"}, "headers": {"graphql-client-name": "web"}})
    for forebay in (watching(collector), watching(collector, client=lambda request: (request.path, "1"))):
        asyncio.run(asked(forebay, [request]))
        assert forebay.close()
    assert collector.usage() == {("web", "", "", False): 1, ("/graphql", "1", "", False): 1}
