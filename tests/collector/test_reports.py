"""The native protocol over real HTTP: what is taken is durable, what is refused says why."""

from __future__ import annotations

import gzip
import time
from typing import Any

import httpx
import msgspec
import pytest
import zstandard
from collector.server import Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from reports import executions, shape

from forebay.access import Scope
from forebay.collector.intake import RETENTION_MINUTES
from forebay.core import wire
from forebay.core.record import SCHEMAS, SHAPES, ExecutionColumns, Report, ShapeColumns, columns_of

SHAPE = ShapeColumns.of(shape("Q", "Query.a"))


def push(requests: int = 5, sequence: int = 1, minute: int | None = None, tallies: int = 1, **fields: Any) -> bytes:
    now = int(time.time()) // 60 if minute is None else minute
    rows = {(now, "v", SHAPE.id, f"client-{n}", "1", 200): (requests, 0, {1: requests}) for n in range(tallies)}
    columns: dict[str, Any] = dict(columns_of(rows))
    return wire.encode(wire.Push(agent="agent", sequence=sequence, **columns, **fields))


def test_an_acknowledged_report_is_durable_under_the_tokens_graph(server: Server, graph: str) -> None:
    answer = server.post(wire.PATH, push(7), graph)
    assert (answer.status_code, answer.json()) == (200, {"accepted": True})
    [report] = server.records(graph)
    assert isinstance(report, Report)
    assert (report.org, report.graph, report.agent, report.requests) == ("acme", graph, "agent", [7])
    assert abs(report.received / 1000 - time.time()) < 60


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity", ""])
def test_each_encoding_is_taken(server: Server, graph: str, encoding: str) -> None:
    plain = push(3)
    body = {"gzip": gzip.compress(plain), "zstd": zstandard.compress(plain)}.get(encoding, plain)
    assert server.post(wire.PATH, body, graph, content_encoding=encoding).status_code == 200
    assert server.requests(graph) == 3


def test_a_shape_is_published_once_a_day_however_often_it_is_sent(server: Server, graph: str) -> None:
    for sequence in (1, 2, 3):
        assert server.post(wire.PATH, push(sequence=sequence, shapes=[SHAPE]), graph).status_code == 200
    assert len(server.records(graph, SHAPES)) == 1
    assert len(server.records(graph)) == 3


def test_a_shape_that_is_not_the_hash_of_its_content_is_refused(server: Server, graph: str) -> None:
    forged = msgspec.structs.replace(SHAPE, document="another")
    answer = server.post(wire.PATH, push(shapes=[forged]), graph)
    assert answer.status_code == 400
    assert "not the hash" in answer.json()["message"]
    assert server.records(graph) == []


def test_executions_are_kept_with_their_report_and_its_absurd_times_are_replaced(server: Server, graph: str) -> None:
    now = int(time.time() * 1000)
    early, timely = executions(3, 60_000), executions(3, now)
    for sequence, seen in enumerate((early, timely), 1):
        assert server.post(wire.PATH, push(sequence=sequence, executions=seen), graph).status_code == 200
    plain = push(sequence=3)
    assert b"executions" not in plain
    assert server.post(wire.PATH, plain, graph).status_code == 200
    replaced, kept, none = (report for report in server.records(graph) if isinstance(report, Report))
    assert kept.executions == timely
    assert replaced.executions
    assert {minute - now // 60_000 in (0, 1) for minute in replaced.executions.minute} == {True}
    assert (replaced.executions.errors, replaced.adjusted, none.executions) == ([3, 0], {}, UNSET)


def test_executions_that_are_wrong_or_too_many_refuse_the_report(server: Server, graph: str) -> None:
    wrong = push(executions=executions(3)).replace(b'"failed":[0,0]', b'"failed":[9,0]')
    assert server.post(wire.PATH, wrong, graph).json()["code"] == "malformed"
    row = dict(executions(3).rows())
    many = ExecutionColumns.of({(n, *place[1:]): outcome for n in range(40_000) for place, outcome in row.items()})
    assert server.post(wire.PATH, push(executions=many), graph).json()["code"] == "too_large"
    assert server.records(graph) == []


@pytest.mark.parametrize(
    ("offset", "reason"), [(11, "future"), (-RETENTION_MINUTES - 2, "past"), (9, None), (-1440, None)]
)
def test_an_absurd_time_is_replaced_by_the_time_of_arrival_and_counted(
    server: Server, graph: str, offset: int, reason: str | None
) -> None:
    now = int(time.time()) // 60
    assert server.post(wire.PATH, push(minute=now + offset), graph).status_code == 200
    [report] = server.records(graph)
    assert isinstance(report, Report)
    if reason:
        assert abs(report.minute[0] - now) <= 1
        assert report.adjusted == {reason: 1}
    else:
        assert report.minute == [now + offset]
        assert report.adjusted == {}


def test_every_refusal_of_a_token_says_what_to_do(server: Server, graph: str) -> None:
    read, expired = server.token(graph, Scope.READ), server.token(graph, ttl=-3600)
    cases = [
        ("", 401, "unauthenticated", "forebay token create"),
        ("Bearer", 401, "unauthenticated", "forebay token create"),
        ("Bearer rubbish", 401, "unauthenticated", "not one of this Forebay"),
        ("Basic dXNlcjpwYXNz", 401, "unauthenticated", "Bearer"),
        (f"Bearer {server.token(graph)}x", 401, "unauthenticated", "not one of this Forebay"),
        (f"Bearer {expired}", 401, "unauthenticated", "expired"),
        (f"Bearer {read}", 403, "forbidden", "--scope write"),
    ]
    for authorization, status, code, advice in cases:
        before = server.refused("native", code)
        answer = server.post(wire.PATH, push(), graph, authorization=authorization)
        assert (answer.status_code, answer.json()["code"]) == (status, code), authorization
        assert advice in answer.json()["message"]
        assert server.refused("native", code) == before + 1
    assert server.records(graph) == []


def broken(old: bytes, new: bytes) -> bytes:
    body = push()
    assert old in body
    return body.replace(old, new)


def bomb(size: int, compress: Any) -> bytes:
    return bytes(compress(b" " * size))


REFUSED: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "not json": (b"{", {}, 400, "malformed"),
    "empty": (b"", {}, 400, "malformed"),
    "truncated": (push()[:-9], {}, 400, "malformed"),
    "a negative count": (broken(b'"requests":[5]', b'"requests":[-5]'), {}, 400, "malformed"),
    "a count that is no number": (broken(b'"requests":[5]', b'"requests":[NaN]'), {}, 400, "malformed"),
    "a count of 2^64": (broken(b'"requests":[5]', b'"requests":[18446744073709551616]'), {}, 400, "malformed"),
    "arrays of several lengths": (broken(b'"requests":[5]', b'"requests":[5,5]'), {}, 400, "malformed"),
    "a sequence of 0": (broken(b'"sequence":1', b'"sequence":0'), {}, 400, "malformed"),
    "a name that is too long": (broken(b"client-0", b"c" * 2000), {}, 400, "malformed"),
    "deep nesting": (b'{"shapes":' + b"[" * 200_000, {}, 400, "malformed"),
    "too many tallies": (push(tallies=1_001), {}, 413, "too_large"),
    "a large body": (b" " * (2**20 + 1), {}, 413, "too_large"),
    "a gzip bomb": (bomb(2**27, gzip.compress), {"content_encoding": "gzip"}, 413, "too_large"),
    "a zstd bomb": (bomb(2**27, zstandard.compress), {"content_encoding": "zstd"}, 413, "too_large"),
    "a broken gzip": (b"\x1f\x8b rubbish", {"content_encoding": "gzip"}, 400, "malformed"),
    "a truncated gzip": (gzip.compress(push())[:-12], {"content_encoding": "gzip"}, 400, "malformed"),
    "a truncated zstd": (zstandard.compress(push())[:-5], {"content_encoding": "zstd"}, 400, "malformed"),
    "an unknown encoding": (push(), {"content_encoding": "br"}, 415, "encoding"),
    "another content type": (push(), {"content_type": "text/plain"}, 415, "media_type"),
    "no content type": (push(), {"content_type": ""}, 415, "media_type"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_gets_its_status_a_reason_and_a_counter_and_the_next_report_is_taken(
    server: Server, graph: str, name: str
) -> None:
    body, headers, status, code = REFUSED[name]
    before = server.refused("native", code)
    answer = server.post(wire.PATH, body, graph, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]
    assert "Traceback" not in answer.text
    assert server.refused("native", code) == before + 1
    assert server.records(graph) == []
    assert server.post(wire.PATH, push(2), graph).status_code == 200
    assert server.requests(graph) == 2


def test_unknown_fields_are_tolerated(server: Server, graph: str) -> None:
    body = push()[:-1] + b',"news":{"of":["tomorrow"]}}'
    assert server.post(wire.PATH, body, graph).status_code == 200
    assert server.requests(graph) == 5


def test_memory_stays_bounded_under_bombs(server: Server, graph: str) -> None:
    body = bomb(2**27, gzip.compress)
    server.post(wire.PATH, body, graph, content_encoding="gzip")
    before = server.memory()
    for _ in range(20):
        assert server.post(wire.PATH, body, graph, content_encoding="gzip").status_code == 413
    assert server.memory() < before + 64 * 2**20


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_fuzzed_report_is_taken_or_refused_and_nothing_else(server: Server, data: st.DataObject) -> None:
    body = bytearray(push(shapes=[SHAPE]))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert"])):
            case "set":
                body[place] = data.draw(st.integers(0, 255))
            case "cut":
                del body[place : place + data.draw(st.integers(1, 20))]
            case _:
                body[place:place] = data.draw(
                    st.sampled_from([b'"', b"[", b"]", b"{", b"-1", b"1e999", b"null", b"\xff"])
                )
        body = body or bytearray(b" ")
    answer = server.post(wire.PATH, bytes(body), "fuzz")
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or answer.json()["code"] == "malformed"


def test_a_client_that_goes_away_midway_costs_nothing(server: Server, graph: str) -> None:
    def trickle() -> Any:
        yield push()[:20]
        raise OSError("gone")

    headers = {"authorization": f"Bearer {server.token(graph)}", "content-type": "application/json"}
    with pytest.raises((httpx.HTTPError, OSError)):
        httpx.post(server.url + wire.PATH, content=trickle(), headers=headers)
    assert server.post(wire.PATH, push(2), graph).status_code == 200
    assert server.requests(graph) == 2


def test_a_schema_is_published_if_it_builds_and_refused_with_its_place_if_not(server: Server, graph: str) -> None:
    good = msgspec.json.encode({"sdl": "type Query { a: Int }"})
    assert server.post("/v1/schemas", good, graph).status_code == 200
    assert len(server.records(graph, SCHEMAS)) == 1
    for sdl in ("type Query { a: }", "type Query { a: Nowhere }", ""):
        answer = server.post("/v1/schemas", msgspec.json.encode({"sdl": sdl}), graph)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_schema"), sdl
    assert "line 1, column 17" in server.post("/v1/schemas", b'{"sdl": "type Query { a: }"}', graph).text
    several = server.post("/v1/schemas", b'{"sdl": "type Query { a: Foo }\\ntype X { b: Bar }"}', graph).json()
    places = [problem.partition("(")[2] for problem in several["problems"]]
    assert places == ["line 1, column 17)", "line 2, column 13)"]
    assert len(server.records(graph, SCHEMAS)) == 1
