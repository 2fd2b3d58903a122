"""GraphQL requests are read out of HTTP requests, errors out of answers, and clients out of headers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.agent.client_headers import client_of
from forebay.agent.http_answer import Outcome, outcomes
from forebay.agent.http_request import Asked, Unreadable, in_body, in_query

JSON = "application/json; charset=utf-8"
DIGEST = "ab" * 32


def body(content: object) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ({"query": "{ a }"}, Asked("{ a }")),
        ({"query": "{ a }", "operationName": "A", "variables": {"b": 1}}, Asked("{ a }", "A", {"b": 1})),
        ({"query": "{ a }", "operationName": 5, "variables": {}}, Asked("{ a }")),
        ({"query": "{ a }", "variables": '{"b": [1, null]}'}, Asked("{ a }", None, {"b": [1, None]})),
        ({"query": "{ a }", "variables": [1], "operationName": "A"}, Asked(None, "A")),
        ({"query": "{ a }", "variables": "{"}, Asked(None)),
        ({"extensions": {"persistedQuery": {"sha256Hash": DIGEST.upper()}}}, Asked(None, None, None, DIGEST)),
        (
            {"query": "{ a }", "extensions": {"persistedQuery": {"sha256Hash": DIGEST}}},
            Asked("{ a }", None, None, DIGEST),
        ),
        ({"documentId": "d", "operationName": "A"}, Asked(None, "A", None, "d")),
        ({"documentId": f"sha256:{DIGEST}"}, Asked(None, None, None, DIGEST)),
        ({"id": 7}, Asked(None, None, None, "7")),
        ({"doc_id": "d", "query": ""}, Asked(None, None, None, "d")),
    ],
)
def test_one_request_of_a_json_body(content: object, asked: Asked) -> None:
    assert in_body(JSON, body(content)) == [asked]
    assert in_body(JSON, body([content, content])) == [asked, asked]
    assert in_body("", body(content)) == [asked]


@pytest.mark.parametrize("content", [{}, 5, None, {"query": 5}, {"extensions": []}, {"query": ""}])
def test_json_that_names_no_document_may_ask_what_is_not_known(content: object) -> None:
    assert in_body(JSON, body(content)) == [Asked(None)]
    assert in_body(JSON, body(content), "query=%7Ba%7D") == [Asked("{a}")]
    assert in_body(JSON, body([])) == []


def test_a_query_string_asks_once() -> None:
    said = {"query": "{ a }", "variables": '{"b": 1}', "operationName": "A", "extensions": "{}"}
    assert in_query(urlencode(said)) == [Asked("{ a }", "A", {"b": 1})]
    hashed = {"extensions": body({"persistedQuery": {"version": 1, "sha256Hash": DIGEST}})}
    assert in_query(urlencode(hashed)) == [Asked(None, None, None, DIGEST)]
    assert in_query("query=%7Ba%7D&variables=no") == [Asked(None)]
    assert in_query("query=%7Ba%7D&extensions=no") == [Asked("{a}")]
    assert in_query("") == in_query("a=b") == []


def test_forms_and_plain_documents_are_read() -> None:
    assert in_body("application/graphql", b"{ a }") == [Asked("{ a }")]
    assert in_body("application/graphql", b"{ a }", "operationName=A&variables=%7B%22x%22%3A1%7D") == [
        Asked("{ a }", "A", {"x": 1})
    ]
    assert in_body("application/x-www-form-urlencoded", b"query=%7Ba%7D") == [Asked("{a}")]


def form(operations: Any, places: Any, boundary: str = "xyz", files: bytes = b"\x00\xff\r\n--no") -> bytes:
    fields = {"operations": json.dumps(operations), "map": json.dumps(places)}
    parts = [f'Content-Disposition: form-data; name="{n}"\r\n\r\n{v}'.encode() for n, v in fields.items()]
    parts.append(b'Content-Disposition: form-data; name="0"; filename="operations"\r\n\r\n' + files)
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


@pytest.mark.parametrize("boundary", ["x y", "----WebKitFormBoundary7MA4"])
def test_an_upload_is_read_from_its_beginning_and_a_file_is_no_null(boundary: str) -> None:
    operations = {"query": "mutation A($f: [Upload]) { a }", "variables": {"f": [None, None]}}
    parts = form(operations, {"0": ["variables.f.1"]}, boundary)
    kind = f'multipart/form-data; charset=x; boundary="{boundary}"'
    expected = [Asked("mutation A($f: [Upload]) { a }", None, {"f": [None, "file"]})]
    assert in_body(kind, parts) == in_body(kind, parts[:-40]) == expected
    with pytest.raises(Unreadable):
        in_body(kind, parts[:60])


def test_an_upload_of_several_operations_places_its_files() -> None:
    operations = [{"query": "{ a }", "variables": {"f": None}}, {"query": "{ b }", "variables": {"f": None}}]
    asked = in_body("multipart/form-data; boundary=xyz", form(operations, {"0": ["1.variables.f", "0.variables.f"]}))
    assert asked == [Asked("{ a }", None, {"f": "file"}), Asked("{ b }", None, {"f": "file"})]


def test_what_a_server_may_read_and_a_strict_parser_does_not_is_read() -> None:
    assert in_body(JSON, b'{"query": "{ a }", "variables": {"b": NaN, "c": "\\ud800"}}')[0].source == "{ a }"
    assert in_body(JSON, '{"query": "{ a }"}'.encode("utf-16")) == [Asked("{ a }")]


@pytest.mark.parametrize(
    "places", [{"0": ["variables.none.there"]}, {"0": ["variables.f.x"]}, {"0": [7]}, {"0": 7}, [], None]
)
def test_an_upload_whose_files_have_no_place_can_not_be_read(places: Any) -> None:
    operations = {"query": "{ a }", "variables": {"f": [None]}}
    with pytest.raises(Unreadable):
        in_body("multipart/form-data; boundary=xyz", form(operations, places))


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b"\xff", body([{"query": "{ a }"}] * 1_001)])
def test_what_can_not_be_read_is_said_so(text: bytes) -> None:
    with pytest.raises(Unreadable):
        in_body(JSON, text)


@given(st.binary(max_size=200), st.sampled_from([JSON, "", "multipart/form-data; boundary=a", "application/graphql"]))
def test_no_bytes_make_it_fail_otherwise(text: bytes, kind: str) -> None:
    try:
        in_body(kind, text)
    except Unreadable:
        return


ERRORS: list[Any] = [{"message": "x"}]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"data": {"errors": [1]}}, [Outcome(executed=True)]),
        ({"data": {"a": 1}, "errors": []}, [Outcome(executed=True)]),
        ({"data": {"a": 1}, "errors": ERRORS}, [Outcome(True, executed=True)]),
        ({"data": None, "errors": ERRORS}, [Outcome(True)]),
        ({"data": None, "errors": [{"path": ["a"]}]}, [Outcome(True, at={("a",): 1}, executed=True)]),
        ({"errors": [{"path": ["a"]}]}, [Outcome(True, at={("a",): 1})]),
        ([{"data": {}}, {"errors": ERRORS}], [Outcome(executed=True), Outcome(True)]),
        ({"errors": [{"message": "PersistedQueryNotFound"}]}, [Outcome(True, True)]),
        ({"errors": [{"message": "y", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}]}, [Outcome(True, True)]),
        ({"data": {}, "incremental": [{"errors": ERRORS}]}, [Outcome(True, executed=True)]),
    ],
)
def test_errors_of_an_answer(answer: object, expected: list[Outcome]) -> None:
    for kind in (JSON, "application/graphql-response+json"):
        assert outcomes(kind, body(answer)) == expected


@pytest.mark.parametrize("errors", [False, True])
def test_errors_of_events_and_parts(errors: bool) -> None:
    last = {"payload": {"data": {"a": 2}, **({"errors": ERRORS} if errors else {})}}
    events = b'event: next\ndata: {"data": {"a": "\\"errors\\""}}\n\nevent: next\r\ndata: %s\n\nevent: complete\n\n'
    assert outcomes("text/event-stream", events % body(last["payload"])) == [Outcome(errors, executed=errors)]
    parts = b'--a\r\nContent-Type: application/json\r\n\r\n{"data": {}, "hasNext": true}\r\n'
    parts += b"--a\r\nContent-Type: application/json\r\n\r\n%s\r\n--a--\r\n" % body(last)
    assert outcomes('multipart/mixed; boundary="a"', parts) == [Outcome(errors, executed=errors)]


def test_the_paths_of_errors_are_read_from_events_parts_and_increments() -> None:
    def error(*path: Any) -> dict[str, Any]:
        return {"message": "private", "path": path}

    first = {"data": {}, "errors": [error("a", 0, "b"), error("a", 1, "b")], "hasNext": True}
    later = {
        "incremental": [
            {"path": ["list", 3], "errors": [error("name")]},  # relative, as some servers have it
            {"path": ["list", 4], "errors": [error("list", 4, "name")]},
            {"items": None, "path": ["list", 5], "errors": [{"message": "no path"}]},
            {"id": "0", "subPath": ["deep"], "errors": [error("a", "deep", "c")]},
        ],
        "completed": [{"id": "1", "errors": [error("a", "d")]}],
    }
    expected = {("a", "b"): 2, ("list", "name"): 2, ("a", "deep", "c"): 1, ("a", "d"): 1}
    parts = b"".join(b"--a\r\nContent-Type: application/json\r\n\r\n%s\r\n" % body(each) for each in (first, later))
    events = b"".join(b"event: next\ndata: %s\n\n" % body(each) for each in (first, later))
    for kind, text in (("multipart/mixed", parts + b"--a--"), ("text/event-stream", events)):
        assert outcomes(kind, text) == [Outcome(errors=True, at=expected, executed=True)]


@pytest.mark.parametrize(
    ("end", "errors"),
    [
        (b'"}, "errors": [{"message": "x"}]}', True),
        (b'"}, "errors": [{"message": "x, \\"errors\\": []"}], "extensions": {"a": [1]}}\n', True),
        (b'"}, "errors": []}', False),
        (b'", "errors": [{"message": "x"}]}}', False),
        (b', \\"errors\\": [1]}"}}', False),
    ],
)
def test_errors_at_the_end_of_an_answer_that_was_not_kept_whole(end: bytes, errors: bool) -> None:
    whole = b'{"data": {"a": "' + b"x" * 1_000 + end
    json.loads(whole)
    assert outcomes(JSON, whole[:100], whole[-200:]) == [Outcome(errors, executed=True)]


def test_errors_at_the_beginning_of_an_answer_that_was_not_kept_whole() -> None:
    assert outcomes(JSON, b' {"errors": [ {"message": "x', b"") == [Outcome(True, executed=True)]
    assert outcomes(JSON, b'{"errors": [], "data": ', b"") == [Outcome(False, executed=True)]


def test_the_first_pair_of_headers_that_names_a_client_counts() -> None:
    headers = {"apollographql-client-name": "b", "apollographql-client-version": "2", "graphql-client-version": "1"}
    assert client_of(headers.get) == ("b", "2")
    assert client_of({"x-graphql-client-name": "c"}.get) == ("c", "")
    assert client_of(dict[str, str]().get) == ("", "")
