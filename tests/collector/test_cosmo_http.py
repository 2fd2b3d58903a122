"""Cosmo's protocol over real HTTP, with the bytes of a real router: its exact answers, and every request counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import httpx
import pytest
from collector.server import COSMO, Server

from forebay.access import Scope
from forebay.core.record import SHAPES, Report, ShapeRecord

CAPTURES = Path(__file__).parent.parent / "fixtures" / "cosmo"
PLAIN = COSMO.replace("Aggregated", "")


def capture(name: str) -> tuple[bytes, int]:
    """A body as a router sent it, and how many requests it speaks of."""
    decoded = json.loads((CAPTURES / f"{name}.decoded.json").read_text())
    return (CAPTURES / f"{name}.body").read_bytes(), sum(item["RequestCount"] for item in decoded["Aggregation"])


def post(server: Server, body: bytes, graph: str, path: str = COSMO, **headers: str) -> httpx.Response:
    sent = {"content_type": "application/proto", "content_encoding": "gzip", "connect_protocol_version": "1"}
    return server.post(path, body, graph, **(sent | {"connect_timeout_ms": "9999"} | headers))


@pytest.mark.parametrize("name", ["window-1", "odd"])
def test_every_request_of_a_real_routers_report_is_counted(server: Server, graph: str, name: str) -> None:
    body, requests = capture(name)
    answer = post(server, body, graph)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/proto", b"")
    assert server.requests(graph) == requests


def test_equal_bytes_are_equal_traffic_and_count_each_time(server: Server, graph: str) -> None:
    body, requests = capture("window-1")
    for _ in range(3):
        assert post(server, body, graph).status_code == 200
    assert server.requests(graph) == 3 * requests
    reports = [record for record in server.records(graph) if isinstance(record, Report)]
    assert [report.sequence for report in reports] == [1, 2, 3]
    assert len({report.agent for report in reports}) == 1
    assert len(server.records(graph, SHAPES)) == 1


def test_the_json_codec_is_answered_in_json(server: Server, graph: str) -> None:
    decoded = (CAPTURES / "window-1.decoded.json").read_bytes()
    answer = post(server, decoded, graph, content_type="application/json", content_encoding="")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, "application/json", {})
    assert server.requests(graph) == capture("window-1")[1]


def test_the_older_call_counts_one_for_each_item(server: Server, graph: str) -> None:
    item = json.loads((CAPTURES / "window-1.decoded.json").read_text())["Aggregation"][0]["SchemaUsage"]
    body = json.dumps({"SchemaUsage": [item, item, item]}).encode()
    answer = post(server, body, graph, PLAIN, content_type="application/json", content_encoding="")
    assert answer.status_code == 200
    assert server.requests(graph) == 3


def test_literals_are_stripped_before_anything_is_stored(server: Server, graph: str) -> None:
    post(server, capture("odd")[0], graph)
    shapes = [record for record in server.records(graph, SHAPES) if isinstance(record, ShapeRecord)]
    documents = " ".join(shape.document for shape in shapes)
    assert "nope" in documents
    assert "secret" not in documents


def test_any_failure_of_the_token_is_a_bare_401_before_anything_else_is_looked_at(server: Server, graph: str) -> None:
    for authorization in ("", "Bearer rubbish", f"Bearer {server.token(graph, ttl=-3600)}"):
        answer = post(server, b"\xff", graph, authorization=authorization, content_type="text/plain")
        assert (answer.status_code, answer.content) == (401, b""), authorization
    answer = post(server, b"", graph, authorization=f"Bearer {server.token(graph, Scope.READ)}")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_what_the_router_must_drop_is_an_invalid_argument_and_the_next_report_is_taken(
    server: Server, graph: str
) -> None:
    body, requests = capture("window-1")
    no_usage = gzip.compress(b"\x0a\x02\x10\x01")
    cases = [b"\x1f\x8b rubbish", gzip.compress(b"\xff\xff\xff"), gzip.compress(gzip.decompress(body)[:-3]), no_usage]
    for bad in cases:
        before = server.refused("cosmo", "malformed")
        answer = post(server, bad, graph)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
        assert answer.headers["content-type"] == "application/json"
        assert server.refused("cosmo", "malformed") == before + 1
    bomb = gzip.compress(b"\0" * 2**27)
    assert post(server, bomb, graph).json()["code"] == "invalid_argument"
    assert server.records(graph) == []
    assert post(server, body, graph).status_code == 200
    assert server.requests(graph) == requests


def test_protocol_errors_are_answered_as_the_original_answers_them(server: Server, graph: str) -> None:
    body, _ = capture("window-1")
    assert post(server, body, graph, connect_protocol_version="2").json()["code"] == "invalid_argument"
    assert post(server, body, graph, connect_timeout_ms="soon").json()["code"] == "invalid_argument"
    unknown = post(server, body, graph, content_encoding="br")
    assert (unknown.status_code, unknown.json()["code"]) == (501, "unimplemented")
    media = post(server, body, graph, content_type="text/plain")
    assert (media.status_code, media.content) == (415, b"")
    assert "application/proto" in media.headers["accept-post"]
    get = httpx.get(server.url + COSMO, headers={"authorization": f"Bearer {server.token(graph)}"})
    assert (get.status_code, get.content) == (405, b"")
    assert server.records(graph) == []


def test_health_is_200(server: Server) -> None:
    assert httpx.get(f"{server.url}/health").status_code == 200
