"""The schema may come late, change, or never come: no request is lost, and none is called analysed that was not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from time import sleep

import httpx
import pytest
from graphql import build_schema, introspection_from_schema
from router import raw
from router.routed import SDL, Routed, routed

from forebay.core.shape import content_hash
from forebay.errors import RetryLater, Stop
from forebay.router import reports
from forebay.router.run import Router
from forebay.router.schemas import from_file, from_upstream
from forebay.serving import Address
from forebay.settings import RouterSettings

SUPERGRAPH = """
schema @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION) { query: Query }
directive @link(url: String, for: link__Purpose) repeatable on SCHEMA
directive @join__type(graph: join__Graph!) repeatable on OBJECT
directive @join__field(graph: join__Graph) repeatable on FIELD_DEFINITION
directive @inaccessible on FIELD_DEFINITION
enum link__Purpose { EXECUTION }
enum join__Graph { A B }
type Query @join__type(graph: A) @join__type(graph: B) {
  hello: String @join__field(graph: A)
  hidden: Int @inaccessible
}
"""


class Introspected:
    """Answers introspection by `sdl`, while there is one, and everything else with data."""

    def __init__(self, sdl: str | None) -> None:
        self.sdl, self.modern = sdl, True

    def serve(self, connection: socket.socket) -> None:
        while True:
            _, body = raw.read_request(connection)
            query = json.loads(body)["query"]
            answer: object = {"data": {"hello": "x"}}
            if "__schema" in query:
                answer = {"errors": [{"message": "introspection is not allowed\nhere"}]}
                if self.sdl is not None and (self.modern or "isRepeatable" not in query):
                    answer = {"data": introspection_from_schema(build_schema(self.sdl))}
            text = json.dumps(answer).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text)
            connection.sendall(head + text)


def ask(router: Routed, query: str) -> None:
    assert httpx.post(f"{router.url}/graphql", json={"query": query}).json() == {"data": {"hello": "x"}}


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        sleep(0.01)


def test_requests_wait_for_the_schema_and_are_then_analysed() -> None:
    server = Introspected(None)
    with raw.upstream(server.serve) as port, routed(port, schema=None) as router:
        for _ in range(3):
            ask(router, "query A { hello }")
        router.settled()
        assert router.reports.status()["held"] == 3
        server.sdl = SDL
        until(lambda: router.reports.schema is not None)
        assert router.usage() == {("", "", "A", False): 3}
        assert router.uncovered() == 0


def test_when_the_schema_does_not_come_requests_count_and_cover_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Introspected(None)
    with raw.upstream(server.serve) as port, routed(port, schema=None, hold=0.2) as router:
        ask(router, "query A { hello }")
        until(lambda: router.reports.status()["recorded"] == 1)  # it was held, and is given up
        ask(router, "query A { hello }")
        assert (router.usage(), router.uncovered()) == ({("", "", "", False): 2}, 2)
        [push, *_] = router.collector.pushes.values()
        assert push.schemas == []
        server.sdl = SDL
        until(lambda: router.reports.schema is not None)
        ask(router, "query A { hello }")
        assert router.usage() == {("", "", "", False): 2, ("", "", "A", False): 1}


def test_more_requests_than_can_be_held_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "HELD", 5)
    server = Introspected(None)
    with raw.upstream(server.serve) as port, routed(port, schema=None) as router:
        for _ in range(8):
            ask(router, "query A { hello }")
        assert sum(router.usage().values()) == router.uncovered() == 8


def test_what_is_held_when_the_router_stops_is_reported() -> None:
    server = Introspected(None)
    with raw.upstream(server.serve) as port:
        with routed(port, schema=None) as router:
            ask(router, "query A { hello }")
        assert router.collector.requests() == 1
        assert router.said == "stopped; 0 answers were cut off, 0 counted requests were not acknowledged"


def test_a_changed_schema_takes_over_and_nothing_is_lost_or_told_twice() -> None:
    server = Introspected("type Query { hello: String }")
    with raw.upstream(server.serve) as port, routed(port, schema=None, refresh=0.1) as router:
        until(lambda: router.reports.schema is not None)
        before = router.reports.schema
        ask(router, "query A { hello }")
        router.settled()
        server.sdl = "type Query { hello: String now: Int }"
        until(lambda: router.reports.schema is not before)
        ask(router, "query B { hello now }")
        assert router.usage() == {("", "", "A", False): 1, ("", "", "B", False): 1}
        assert router.uncovered() == 0
        until(lambda: router.reports.status()["acknowledged"] == 2)
        versions = {version for push in router.collector.pushes.values() for version in push.schema_version}
        assert len(versions) == 2


def test_a_file_that_is_broken_later_leaves_the_last_good_schema(tmp_path: Path) -> None:
    server = Introspected(None)
    with raw.upstream(server.serve) as port, routed(port, folder=tmp_path, refresh=0.05) as router:
        until(lambda: router.reports.schema is not None)
        before = router.metric("forebay_router_schema_failed_total")
        (tmp_path / "schema.graphql").write_text("type Query {")
        until(lambda: router.metric("forebay_router_schema_failed_total") > before)
        ask(router, "query A { hello }")
        assert (router.usage(), router.uncovered()) == ({("", "", "A", False): 1}, 0)


def test_a_supergraph_is_analysed_as_clients_see_it_and_told_as_it_is(tmp_path: Path) -> None:
    server = Introspected(None)
    with raw.upstream(server.serve) as port, routed(port, schema=SUPERGRAPH, folder=tmp_path) as router:
        ask(router, "query A { hello }")
        router.usage()
        [push] = router.collector.pushes.values()
        assert [schema.sdl for schema in push.schemas] == [SUPERGRAPH]
        assert push.schema_version == [content_hash(SUPERGRAPH.encode())]
    schema = from_file(tmp_path / "schema.graphql").graphql
    assert set(schema.type_map["Query"].fields) == {"hello"}  # type: ignore[attr-defined]


def test_a_server_that_knows_only_the_oldest_introspection_is_asked_by_it() -> None:
    server = Introspected("type Query { hello: String }")
    server.modern = False
    with raw.upstream(server.serve) as port:
        assert from_upstream(f"http://127.0.0.1:{port}/graphql", {}).graphql.query_type


def test_why_there_is_no_schema_is_one_line() -> None:
    with raw.upstream(Introspected(None).serve) as port, pytest.raises(RetryLater) as refused:
        from_upstream(f"http://127.0.0.1:{port}/graphql", {})
    assert "--schema" in str(refused.value)
    assert str(refused.value).endswith("introspection is not allowed")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"upstream": "localhost:4000"}, "name the upstream"),
        ({"upstream": "http://a/graphql", "schema": "/nowhere"}, "/nowhere is no valid schema"),
        ({"upstream": "http://a/graphql", "documents": "/nowhere"}, "/nowhere is no file of persisted documents"),
        ({"upstream": "http://a/graphql", "headers": "[]"}, "FOREBAY_ROUTER_HEADERS"),
    ],
)
def test_a_mistake_in_the_settings_is_one_clear_line(settings: dict[str, str], complaint: str) -> None:
    address = Address("127.0.0.1", 1)
    with pytest.raises(Stop, match=complaint):
        Router(RouterSettings(**settings), reports.Reports("http://x", "t"), address, address)  # type: ignore[arg-type]


def test_what_the_schema_refuses_and_the_server_executed_is_not_analysed(tmp_path: Path) -> None:
    """The schema may lag behind: its answer has data beside errors, so it was no refusal."""
    answers = [{"data": {"hello": "x", "late": None}, "errors": [{"message": "x", "path": ["late"]}]}, {"errors": [{}]}]

    def serve(connection: socket.socket) -> None:
        for answer in answers:
            raw.read_request(connection)
            text = json.dumps(answer).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text)
            connection.sendall(head + text)

    with raw.upstream(serve) as port, routed(port, folder=tmp_path) as router:
        with httpx.Client(base_url=router.url) as client:
            for _ in answers:
                client.post("/graphql", json={"query": "query A { hello late }"})
        assert router.usage() == {("", "", "A", True): 2}
        assert router.uncovered() == 1
