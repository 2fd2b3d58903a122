"""The ASGI and the WSGI middleware, held to the same cases: every request counts, and not one byte changes."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import drive
import pytest
from broken import STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector
from graphql import build_schema, graphql_sync

from forebay.agent.integrations import asgi, wsgi
from forebay.agent.integrations.exchange import ANSWER_BYTES, REQUEST_BYTES, Exchange, Head

SDL = """
type Query { hello(name: String = "you"): String!  fail: String }
type Subscription { ticks: Int! }
"""
SCHEMA = build_schema(SDL)
JSON = ("Content-Type", "application/json")


class Answer(NamedTuple):
    """What a test's app answers."""

    status: int
    headers: list[tuple[str, str]]
    chunks: list[bytes]


class Root:
    def hello(self, info: Any, name: str) -> str:
        return f"hello {name}"

    def fail(self, info: Any) -> str:
        raise RuntimeError("private")


def served(method: str, query: str, body: bytes) -> Answer:
    """A GraphQL server: JSON by POST, documents by GET, and a page."""
    if method == "GET" and not query:
        return Answer(200, [("Content-Type", "text/html")], [b"<html>"])
    if method == "GET":
        asked: Any = {"query": parse_qs(query)["query"][0]}
    else:
        try:
            asked = json.loads(body)
        except ValueError:
            return Answer(400, [], [b"not JSON"])
    results = [
        graphql_sync(SCHEMA, one.get("query", ""), Root(), variable_values=one.get("variables")).formatted
        for one in (asked if isinstance(asked, list) else [asked])
    ]
    text = json.dumps(results if isinstance(asked, list) else results[0]).encode()
    status = 200 if isinstance(asked, list) or "data" in results[0] else 400
    return Answer(status, [JSON, ("X-Own", "1")], [text[:7], text[7:], b""])


Serve = Callable[[str, str, bytes], Answer]


def asgi_app(serve: Serve) -> asgi.App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        answer = serve(scope["method"], scope["query_string"].decode(), body)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for chunk in answer.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    return app


class Closing:
    """Chunks that want to be closed, and perhaps have a length."""

    def __init__(self, chunks: list[bytes], closed: list[Any]) -> None:
        self.chunks, self.closed = chunks, closed

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed.append("closed")


class Counted(Closing):
    def __len__(self) -> int:
        return len(self.chunks)


def wsgi_app(serve: Serve, kind: Callable[..., Any] = list) -> wsgi.App:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        answer = serve(environ["REQUEST_METHOD"], environ["QUERY_STRING"], body)
        start_response(f"{answer.status} Status", answer.headers)
        return kind(answer.chunks)

    return app


class Side(NamedTuple):
    app: Callable[[Serve], Any]
    drive: Callable[..., list[Any]]
    forebay: Any


SIDES = {"asgi": Side(asgi_app, drive.asgi, asgi.Forebay), "wsgi": Side(wsgi_app, drive.wsgi, wsgi.Forebay)}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return SIDES[request.param]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


def watched(app: Any, side: Side, collector: FakeCollector, **options: Any) -> Any:
    return side.forebay(app, options.pop("schema", SCHEMA), collector.url, "token", interval=60, **options)


def post(*documents: str) -> bytes:
    asked = [{"query": document} for document in documents]
    return json.dumps(asked if len(asked) > 1 else asked[0]).encode()


REQUESTS: list[tuple[dict[str, Any], list[tuple[str, bool]]]] = [  # what is sent; names and failures that count
    ({"chunks": [post("query A { hello }")[:9], post("query A { hello }")[9:]]}, [("A", False)]),
    ({"chunks": [post("query B { hello fail }")]}, [("B", True)]),
    ({"chunks": [post("query C { nothing }")]}, [("C", True)]),
    ({"chunks": [post("query D {")]}, [("", True)]),
    ({"chunks": [post("query E { hello }", "query F { fail }")]}, [("E", False), ("F", True)]),
    ({"chunks": [b"rubbish"]}, [("", True)]),
    ({"chunks": [b""]}, [("", True)]),
    ({"method": "GET", "chunks": [], "query": "query=query%20G%20%7Bhello%7D"}, [("G", False)]),
    ({"method": "GET", "chunks": []}, []),
]


def test_every_request_counts_with_its_outcome_and_answers_are_the_same_bytes(
    side: Side, collector: FakeCollector
) -> None:
    app = side.app(served)
    forebay = watched(app, side, collector)
    for request, _ in REQUESTS:
        assert side.drive(forebay, **request, headers=[JSON]) == side.drive(app, **request, headers=[JSON])
    assert forebay.close()
    expected = [("", "", *outcome) for _, outcomes in REQUESTS for outcome in outcomes]
    assert sorted(collector.usage().elements()) == sorted(expected)
    assert forebay.faults.counts == {}


def test_errors_are_attributed_to_the_fields_at_which_they_arose(side: Side, collector: FakeCollector) -> None:
    forebay = watched(side.app(served), side, collector)
    batch = [{"query": "query A { x: fail hello }"}, {"query": "query B { hello }"}, {"query": "query C { nothing }"}]
    for asked in (batch[0], batch):
        side.drive(forebay, [json.dumps(asked).encode()], headers=[JSON])
    assert forebay.close()
    assert collector.errors() == {("A", "Query.fail"): 2}


@pytest.mark.parametrize(
    "step", [*STEPS, *((Exchange, name) for name in ("__init__", "answers", "end")), (Head, "add")], ids=name_of
)
def test_answers_are_the_same_bytes_whichever_step_of_the_agent_is_broken(
    side: Side, collector: FakeCollector, step: Any
) -> None:
    app = side.app(served)
    bare = [side.drive(app, **request, headers=[JSON]) for request, _ in REQUESTS]
    with broken(step) as reached:
        forebay = watched(app, side, collector)
        assert [side.drive(forebay, **request, headers=[JSON]) for request, _ in REQUESTS] == bare
        forebay.flush(0)
        wait_for(reached)
    forebay.close(0)


def test_other_addresses_and_methods_are_not_looked_at(side: Side, collector: FakeCollector) -> None:
    forebay = watched(side.app(served), side, collector, path=("/graphql", "/api/"))
    chunks = [post("query A { hello }")]
    for path in ("/search", "/graphql/more", "/api", "/graphql/"):
        side.drive(forebay, chunks, path=path, headers=[JSON])
    side.drive(forebay, chunks, method="PUT", headers=[JSON])
    assert forebay.close()
    assert collector.usage() == {("", "", "A", False): 2}


def test_the_client_is_named_by_headers_or_a_function_of_the_request(side: Side, collector: FakeCollector) -> None:
    headers = [JSON, ("graphql-client-name", "web"), ("graphql-client-version", "3.2.0")]
    forebay = watched(side.app(served), side, collector)
    side.drive(forebay, [post("{ hello }")], headers=headers)
    assert forebay.close()
    own = watched(side.app(served), side, collector, client=lambda request: (type(request).__name__, "1"))
    side.drive(own, [post("{ hello }")], headers=headers)
    assert own.close()
    assert collector.usage() == {("web", "3.2.0", "", False): 1, ("dict", "1", "", False): 1}


def test_a_schema_can_be_given_as_text_and_is_reported_as_that_text(side: Side, collector: FakeCollector) -> None:
    forebay = watched(side.app(served), side, collector, schema=SDL)
    side.drive(forebay, [post("query A { hello }")], headers=[JSON])
    assert forebay.close()
    [push] = collector.pushes.values()
    assert push.schemas[0].sdl == SDL


@pytest.mark.parametrize("schema", ["type {", object()])
def test_a_schema_that_is_none_costs_a_fault_and_the_app_runs_on(
    side: Side, collector: FakeCollector, schema: Any
) -> None:
    app = side.app(served)
    forebay = watched(app, side, collector, schema=schema)
    chunks = [post("query A { hello }")]
    assert side.drive(forebay, chunks, headers=[JSON]) == side.drive(app, chunks, headers=[JSON])
    assert forebay.faults.counts == {"schema": 1}


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        (Answer(200, [JSON], [b'{"data": {}, "errors": [{}]}']), True),
        (Answer(200, [JSON], [b'{"data": "', b"x" * ANSWER_BYTES, b'", "errors": [{}]}']), False),
        (Answer(200, [JSON, ("Content-Encoding", "gzip")], [gzip.compress(b'{"data": {}, "errors": [{}]}')]), False),
        (Answer(200, [("Content-Type", "text/plain")], [b'{"errors": [{}]}']), False),
        (Answer(503, [("Content-Type", "text/html")], [b"<html>"]), True),
    ],
    ids=["seen", "too long", "compressed", "of another type", "refused"],
)
def test_errors_are_claimed_only_where_they_were_seen(
    side: Side, collector: FakeCollector, answer: Answer, errors: bool
) -> None:
    app = side.app(lambda *_: answer)
    forebay = watched(app, side, collector)
    assert side.drive(forebay, [post("query A { hello }")], headers=[JSON]) == side.drive(
        app, [post("query A { hello }")], headers=[JSON]
    )
    assert forebay.close()
    assert collector.usage() == {("", "", "A", errors): 1}
    [push] = collector.pushes.values()
    assert push.status == [answer.status]


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [
        ([b'{"query": "{ hello }", "more": "', b"x" * REQUEST_BYTES, b'"}'], [JSON]),
        ([gzip.compress(post("{ hello }"))], [JSON, ("Content-Encoding", "gzip")]),
        ([b"{ hello }"], [("Content-Type", "text/plain")]),
        ([json.dumps({"id": "unheard-of"}).encode()], [JSON]),
    ],
    ids=["too long", "compressed", "of another type", "persisted"],
)
def test_what_was_executed_unseen_counts_as_not_analysed(
    side: Side, collector: FakeCollector, chunks: list[bytes], headers: Any
) -> None:
    forebay = watched(side.app(lambda *_: Answer(200, [JSON], [b'{"data": {}}'])), side, collector)
    side.drive(forebay, chunks, headers=headers)
    assert forebay.close()
    [shape] = collector.shapes.values()
    assert (shape.invalid, shape.coverage) == (False, [])


@pytest.mark.parametrize(("data", "invalid"), [('{"hello": null}', False), ("null", True)])
def test_a_document_that_was_executed_without_being_valid_is_not_analysed(
    side: Side, collector: FakeCollector, data: str, invalid: bool
) -> None:
    answer = Answer(200, [JSON], [f'{{"data": {data}, "errors": [{{}}]}}'.encode()])
    forebay = watched(side.app(lambda *_: answer), side, collector)
    side.drive(forebay, [post("query A { hello nothing }")], headers=[JSON])
    assert forebay.close()
    assert [shape.invalid for shape in collector.shapes.values()] == [invalid]


def test_a_persisted_document_that_the_server_does_not_know_used_nothing(side: Side, collector: FakeCollector) -> None:
    answer = Answer(200, [JSON], [b'{"errors": [{"message": "PersistedQueryNotFound"}]}'])
    forebay = watched(side.app(lambda *_: answer), side, collector)
    side.drive(forebay, [json.dumps({"id": "unheard-of"}).encode()], headers=[JSON])
    assert forebay.close()
    assert [shape.invalid for shape in collector.shapes.values()] == [True]
    assert collector.usage() == {("", "", "", True): 1}


def test_persisted_documents_of_the_hosts_list_are_analysed(side: Side, collector: FakeCollector) -> None:
    forebay = watched(
        side.app(lambda *_: Answer(200, [JSON], [b'{"data": {}}'])),
        side,
        collector,
        documents={"7": "query A { hello }"},
    )
    side.drive(forebay, [json.dumps({"documentId": "7"}).encode()], headers=[JSON])
    assert forebay.close()
    assert collector.usage() == {("", "", "A", False): 1}


@pytest.mark.parametrize("kind", ["text/event-stream", 'multipart/mixed; boundary="-"'])
def test_a_stream_of_results_counts_when_it_begins_and_has_no_duration(
    side: Side, collector: FakeCollector, kind: str
) -> None:
    app = side.app(lambda *_: Answer(200, [("Content-Type", kind)], [b"event: next\n", b"event: complete\n"]))
    forebay = watched(app, side, collector)
    chunks = [post("subscription T { ticks }")]
    assert side.drive(forebay, chunks, headers=[JSON]) == side.drive(app, chunks, headers=[JSON])
    assert forebay.close()
    assert collector.usage() == {("", "", "T", False): 1}
    [push] = collector.pushes.values()
    assert push.duration == [{}]


def test_an_app_that_raises_raises_the_same_and_counts_as_500(side: Side, collector: FakeCollector) -> None:
    def fail(*_: Any) -> Answer:
        raise RuntimeError("the app's own")

    app = side.app(fail)
    forebay = watched(app, side, collector)
    chunks = [post("query A { hello }")]
    assert side.drive(forebay, chunks, headers=[JSON]) == side.drive(app, chunks, headers=[JSON])
    assert forebay.close()
    assert collector.usage() == {("", "", "A", True): 1}
    [push] = collector.pushes.values()
    assert push.status == [500]


def test_an_answer_that_never_began_has_no_status(side: Side, collector: FakeCollector) -> None:
    class Cancelled(BaseException):
        pass

    def cancelled(*_: Any) -> Answer:
        raise Cancelled

    forebay = watched(side.app(cancelled), side, collector)
    with pytest.raises(Cancelled):
        side.drive(forebay, [post("query A { hello }")], headers=[JSON])
    assert forebay.close()
    assert collector.usage() == {("", "", "A", False): 1}
    assert [push.status for push in collector.pushes.values()] == [[0]]


def test_chunks_are_passed_on_as_they_come(side: Side, collector: FakeCollector) -> None:
    events: list[str] = []

    class Slow:
        def __iter__(self) -> Iterator[bytes]:
            for number in range(3):
                events.append(f"made {number}")
                yield b"%d" % number

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number, chunk in enumerate(Slow()):
            await send({"type": "http.response.body", "body": chunk, "more_body": number < 2})

    def streaming_wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Slow()

    app: Any = streaming if side.forebay is asgi.Forebay else streaming_wsgi
    forebay = watched(app, side, collector)
    if side.forebay is wsgi.Forebay:
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/graphql", "wsgi.input": None}
        for chunk in forebay(environ, lambda *_: None):
            events.append(f"got {int(chunk)}")
    else:

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                events.append(f"got {int(message['body'])}")

        asyncio.run(forebay(drive.scope_of("http", "/graphql", []), None, send))
    assert events == [f"{what} {number}" for number in range(3) for what in ("made", "got")]
    assert forebay.close()
    assert collector.requests() == 1


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda c: Closing(c, []), lambda c: Counted(c, [])])
def test_whatever_a_wsgi_app_answers_with_keeps_its_length_and_is_closed(
    collector: FakeCollector, kind: Callable[..., Any]
) -> None:
    closed: list[Any] = []

    def made(chunks: list[bytes]) -> Any:
        answer = kind(chunks)
        if isinstance(answer, Closing):
            answer.closed = closed
        return answer

    app = wsgi_app(served, made)
    bare = drive.wsgi(app, [post("query A { hello }")], headers=[JSON])
    expected, closed[:] = list(closed), []
    forebay = watched(app, SIDES["wsgi"], collector)
    assert drive.wsgi(forebay, [post("query A { hello }")], headers=[JSON]) == bare
    assert closed == expected
    assert forebay.close()
    assert collector.usage() == {("", "", "A", False): 1}


@pytest.mark.parametrize(
    "read",
    [
        lambda stream, size: stream.read(size),
        lambda stream, size: b"".join(stream),
        lambda stream, size: b"".join(stream.readlines()),
        lambda stream, size: stream.readline() + stream.readline() + stream.readline(),
        lambda stream, size: stream.read1(size),
        lambda stream, size: bytes(memoryview(buffer := bytearray(size))[: stream.readinto(buffer)]),
    ],
)
def test_however_a_wsgi_app_reads_it_gets_what_was_sent(collector: FakeCollector, read: Callable[..., bytes]) -> None:
    got: list[bytes] = []

    def app(environ: Any, start_response: Any) -> Any:
        got.append(read(environ["wsgi.input"], int(environ["CONTENT_LENGTH"])))
        start_response("200 OK", [JSON])(b'{"data"')
        return [b": {}}"]

    sent = b'{\n"query": "query A { hello }"\n}'
    forebay = watched(app, SIDES["wsgi"], collector)
    assert drive.wsgi(forebay, [sent], headers=[JSON]) == drive.wsgi(app, [sent], headers=[JSON])
    assert got == [sent, sent]
    assert forebay.close()
    assert collector.usage() == {("", "", "A", False): 1}


def test_operations_over_a_websocket_count_when_they_are_first_answered(collector: FakeCollector) -> None:
    answers: dict[str, list[Any]] = {
        "1": [{"type": "next", "id": "1", "payload": {"data": {}}}, {"type": "complete", "id": "1"}],
        "2": [{"type": "error", "id": "2", "payload": [{"message": "no"}]}],
        "3": [
            {"type": "data", "id": "3", "payload": {"errors": [{"path": ["fail"]}]}},
            {"type": "complete", "id": "3"},
        ],
        "4": [{"type": "complete", "id": "4"}],
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            word = json.loads(message["text"])
            for answer in answers.get(word.get("id"), [{"type": "connection_ack"}]):
                await send({"type": "websocket.send", "text": json.dumps(answer)})

    asked: list[Any] = [{"type": "connection_init"}]
    for number, source in enumerate(("subscription A { ticks }", "query B { none }", "query C { fail }"), 1):
        asked.append({"id": str(number), "type": "subscribe", "payload": {"query": source}})
    asked.append({"id": "4", "type": "start", "payload": {"query": "query D { hello }"}})
    asked.append({"type": "ping"})
    headers = [("graphql-client-name", "web")]
    forebay = watched(app, SIDES["asgi"], collector)
    bare = drive.socket(app, asked, "/graphql", headers)
    assert drive.socket(forebay, asked, "/graphql", headers) == bare
    assert forebay.close()
    assert collector.usage() == {("web", "", name, name in "BC"): 1 for name in "ABCD"}
    assert collector.errors() == {("C", "Query.fail"): 1}
    assert {sum(count[2].values()) for push in collector.pushes.values() for _, count in push.rows()} == {0}
