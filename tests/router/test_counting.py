"""What passes a router is counted: every GraphQL request once, under its client, with its outcome."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
import zstandard
from router import raw
from router.routed import Routed, routed

from forebay.agent.recorder import Recorder
from forebay.agent.reporter import Reporter
from forebay.router.conversation import Conversation
from forebay.router.copies import Copy
from forebay.router.exchange import Exchange
from forebay.router.recording import Recording
from forebay.router.reports import Reports
from forebay.router.watch import Watch

WEB = {"graphql-client-name": "web", "graphql-client-version": "3.2.0"}


@pytest.fixture(scope="module")
def lasting(service: int) -> Iterator[Routed]:
    """A router for tests that don't look at what was counted."""
    with routed(service, schema=None) as made:
        yield made


@pytest.fixture
def router(service: int) -> Iterator[Routed]:
    with routed(service, schema=None) as made:
        yield made


def post(url: str, content: object, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{url}/graphql", json=content, headers=sent)


REQUESTS: list[dict[str, Any]] = [
    {"method": "POST", "json": {"query": "query A { hello }"}, "headers": WEB},
    {"method": "POST", "json": {"query": "query B { fail hello }"}, "headers": WEB},
    {"method": "POST", "json": {"query": "query C { nothing }"}},
    {"method": "POST", "json": {"query": "query D {"}},
    {"method": "POST", "json": [{"query": "query E { hello }"}, {"query": "query F { fail }"}]},
    {"method": "GET", "params": {"query": "query G($n: String!) { hello(name: $n) }", "variables": '{"n": "x"}'}},
    {"method": "POST", "json": {"query": "query H { hello } query I { fail }", "operationName": "I"}},
    {"method": "POST", "json": {"query": "query J { big }"}},
    {
        "method": "POST",
        "data": {
            "operations": '{"query": "mutation K($f: Upload!) { upload(file: $f) }", "variables": {"f": null}}',
            "map": '{"0": ["variables.f"]}',
        },
        "files": {"0": ("a.bin", b"x" * 3_000_000)},
    },
    {
        "method": "POST",
        "json": {"query": "subscription L { ticks }"},
        "headers": {"accept": "multipart/mixed;subscriptionSpec=1.0"},
    },
    {
        "method": "POST",
        "json": {"query": "subscription M { breaks }"},
        "headers": {"accept": "multipart/mixed;subscriptionSpec=1.0"},
    },
    {
        "method": "POST",
        "json": {"query": "subscription N { ticks }"},
        "headers": {"accept": "text/event-stream"},
    },
    {
        "method": "POST",
        "json": {"query": "subscription O { breaks }"},
        "headers": {"accept": "text/event-stream"},
    },
    {"method": "POST", "content": b"no json", "headers": {"content-type": "application/json"}},
    {"method": "OPTIONS"},
    {"method": "GET"},
]

USAGE = {
    ("web", "3.2.0", "A", False): 1,
    ("web", "3.2.0", "B", True): 1,
    ("", "", "C", True): 1,
    ("", "", "", True): 1,  # D does not parse, so that it has no name
    ("", "", "E", False): 1,
    ("", "", "F", True): 1,
    ("", "", "G", False): 1,
    ("", "", "I", True): 1,
    ("", "", "J", False): 1,
    ("", "", "K", False): 1,
    ("", "", "L", False): 1,
    ("", "", "M", True): 1,
    ("", "", "N", False): 1,
    ("", "", "O", True): 1,
    ("", "", "", False): 1,  # what was no JSON
}


def answers(port: int) -> list[tuple[int, dict[str, str], bytes]]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        found = []
        for request in REQUESTS:
            request = {**request, "headers": {"accept": "application/json", **request.get("headers", {})}}
            if "files" in request:
                request["headers"]["content-type"] = "multipart/form-data; boundary=abc"
            answer = client.request(url="/graphql", **request)
            headers = {name: value for name, value in answer.headers.items() if name not in FRAMING}
            found.append((answer.status_code, headers, answer.content))
        return found


FRAMING = ("date", "content-length", "transfer-encoding", "connection")


def test_answers_are_those_of_the_server_and_each_request_counts(service: int, router: Routed) -> None:
    assert answers(router.port) == answers(service)
    assert router.usage() == USAGE
    assert router.uncovered() == 0
    assert router.collector.errors() == {(name, "Query.fail"): 1 for name in "BFI"}


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Watch, "_begin"),
        (Exchange, "__init__"),
        (Exchange, "_count"),
        (Exchange, "_asked"),
        (Exchange, "_outcomes"),
        (Copy, "add"),
        (Copy, "head"),
        (Copy, "tail"),
        (Copy, "drop"),
        (Recording, "count"),
        (Recording, "_source"),
        (Reports, "record"),
        (Reporter, "record"),
        (Recorder, "record"),
        (Recorder, "analyse"),
        (Conversation, "__init__"),
    ],
)
def test_answers_stay_the_same_when_the_looking_is_broken(
    service: int, lasting: Routed, monkeypatch: pytest.MonkeyPatch, place: type, name: str
) -> None:
    monkeypatch.setattr(place, name, fail)
    assert answers(lasting.port) == answers(service)
    lasting.settled()


def test_traffic_flows_while_the_collector_is_away_and_is_reported_afterwards(service: int, router: Routed) -> None:
    router.collector.faults.extend([503, "cut-after"])
    for _ in range(20):
        assert post(router.url, {"query": "query A { hello }"}).json() == {"data": {"hello": "hello you"}}
    assert router.usage() == {("", "", "A", False): 20}


def test_what_goes_to_other_paths_is_not_counted(service: int, router: Routed) -> None:
    httpx.post(f"{router.url}/elsewhere", json={"query": "{ hello }"})
    assert router.usage() == {}


class Persisting:
    """A server with automatic persisted queries, as far as their clients can tell."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def serve(self, connection: socket.socket) -> None:
        while True:
            _, body = raw.read_request(connection)
            asked = json.loads(body)
            digest = asked.get("extensions", {}).get("persistedQuery", {}).get("sha256Hash", asked.get("documentId"))
            if "query" in asked:
                self.known[digest] = asked["query"]
            answer: dict[str, Any] = {"data": {"hello": "x"}}
            if digest not in self.known:
                error = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
                answer = {"errors": [error]}
            text = json.dumps(answer).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text)
            connection.sendall(head + text)


def persisted(source: str) -> dict[str, Any]:
    digest = hashlib.sha256(source.encode()).hexdigest()
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}


def test_a_persisted_query_is_learned_when_it_is_registered(tmp_path: Path) -> None:
    server, source = Persisting(), "query A { hello }"
    with raw.upstream(server.serve) as port, routed(port, folder=tmp_path) as router:
        assert "errors" in post(router.url, persisted(source)).json()  # nothing was executed
        assert post(router.url, {"query": source, **persisted(source)}).json()["data"]
        for _ in range(3):
            assert post(router.url, persisted(source), **WEB).json()["data"]
        assert router.usage() == {
            ("", "", "", True): 1,
            ("", "", "A", False): 1,
            ("web", "3.2.0", "A", False): 3,
        }
        assert router.uncovered() == 0


def test_a_hash_that_only_the_server_knows_counts_and_covers_nothing(tmp_path: Path) -> None:
    server, source = Persisting(), "query A { hello }"
    server.known = {hashlib.sha256(source.encode()).hexdigest(): source, "doc-1": source}
    with raw.upstream(server.serve) as port, routed(port, folder=tmp_path) as router:
        before = router.metric('forebay_router_unanalysed_total{reason="unknown_document"}')
        assert post(router.url, {"operationName": "A", **persisted(source)}).json()["data"]
        assert post(router.url, {"documentId": "doc-1"}).json()["data"]
        assert router.usage() == {("", "", "A", False): 1, ("", "", "", False): 1}
        assert router.uncovered() == 2
        assert router.metric('forebay_router_unanalysed_total{reason="unknown_document"}') == before + 2


def test_a_document_under_a_hash_that_is_not_its_own_is_not_believed(tmp_path: Path) -> None:
    server, true, false = Persisting(), "query A { hello }", "query B { later }"
    with raw.upstream(server.serve) as port, routed(port, folder=tmp_path) as router:
        post(router.url, {"query": false, **persisted(true)})
        post(router.url, persisted(true))
        assert router.usage() == {("", "", "B", False): 1, ("", "", "", False): 1}
        assert router.uncovered() == 1


@pytest.mark.parametrize("manifest", [False, True])
def test_trusted_documents_are_read_from_a_file(tmp_path: Path, manifest: bool) -> None:
    server, source = Persisting(), "query A { hello }"
    server.known = {"doc-1": source}
    operations = [{"id": "doc-1", "body": source, "name": "A", "type": "query"}]
    file = tmp_path / "documents.json"
    file.write_text(json.dumps({"operations": operations} if manifest else {"doc-1": source}))
    with raw.upstream(server.serve) as port, routed(port, folder=tmp_path, documents=str(file)) as router:
        post(router.url, {"documentId": "doc-1"})
        assert router.usage() == {("", "", "A", False): 1}


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_compressed_requests_and_answers_pass_as_they_are_and_are_understood(tmp_path: Path, encoding: str) -> None:
    compress = ENCODINGS[encoding]
    answer = compress(b'{"data": null, "errors": [{"message": "x"}]}')
    sent = compress(b'{"query": "query A { hello }"}')
    bodies: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        bodies.append(raw.read_request(connection)[1])
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
        connection.sendall((head % (encoding, len(answer))).encode() + answer)

    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    head += f"Content-Encoding: {encoding}\r\nContent-Length: {len(sent)}\r\n\r\n"
    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router:
        assert raw.parsed(raw.exchange(router.port, head.encode() + sent))[2] == answer
        assert bodies == [sent]
        assert router.usage() == {("", "", "A", True): 1}


def test_what_is_too_large_or_too_strange_to_be_read_counts_and_covers_nothing(service: int) -> None:
    with routed(service, schema=None, look_kib=16) as router:
        post(router.url, {"query": "query A { hello }" + " " * 20_000})
        body = b"(compressed by something that nobody knows)"
        headers = {"content-type": "application/json", "content-encoding": "odd"}
        httpx.post(f"{router.url}/graphql", content=body, headers=headers)
        assert sum(router.usage().values()) == 2
        assert router.uncovered() == 2


def test_errors_at_the_end_of_a_large_answer_are_seen(tmp_path: Path) -> None:
    answer = b'{"data": {"big": "' + b"x" * 3_000_000 + b'"}, "errors": [{"message": "x"}], "extensions": {}}'

    def serve(connection: socket.socket) -> None:
        raw.read_request(connection)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
        connection.sendall(head + answer)

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router:
        assert post(router.url, {"query": "query A { big }"}).content == answer
        assert router.usage() == {("", "", "A", True): 1}


def test_status_and_duration_are_those_of_the_answer(service: int, router: Routed) -> None:
    post(router.url, {"query": "query A { hello }"})
    post(router.url, {"operationName": "A", "query": "query B { hello }"})
    durations: Counter[int] = Counter()
    for key, (requests, _, buckets) in router.rows():
        durations[key[5]] += sum(buckets.values())
        assert requests == 1
    assert durations == {200: 1, 400: 1}
