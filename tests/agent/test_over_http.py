"""What a bystander reads of GraphQL over HTTP: never less than was asked, never more than is known."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from forebay.agent.integrations.over_http import (
    LEARNED_CHARACTERS,
    UNKNOWN,
    Answered,
    Asked,
    Documents,
    Request,
    answered_with,
    asked_by,
)

JSON = "application/json"
HASH = hashlib.sha256(b"{ a }").hexdigest()


def post(body: Any, kind: str = JSON, whole: bool = True, query: str = "", **more: Any) -> list[Asked]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request("POST", query, kind, more.get("encoding", ""))
    return asked_by(request, content, whole, more.get("documents") or Documents())


def get(documents: Documents | None = None, **parameters: str) -> list[Asked]:
    return asked_by(Request("GET", urlencode(parameters), "", ""), b"", True, documents or Documents())


def form(operations: Any, places: Any, boundary: str = "xyz", files: bytes = b"\x00\xff\r\n--no") -> bytes:
    fields = {"operations": json.dumps(operations), "map": json.dumps(places)}
    parts = [f'Content-Disposition: form-data; name="{n}"\r\n\r\n{v}'.encode() for n, v in fields.items()]
    parts.append(b'Content-Disposition: form-data; name="0"; filename="operations"\r\n\r\n' + files)
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def test_a_posted_operation_is_read_with_its_name_and_variables() -> None:
    body = {"query": "query A { a }", "operationName": "A", "variables": {"x": [1, None]}}
    assert post(body) == [Asked("query A { a }", "A", {"x": [1, None]})]
    assert post(body, "application/graphql-response+json; charset=utf-8") == post(body)
    assert post(body, "Application/JSON;charset=UTF-8") == post(body)
    assert post({**body, "variables": '{"x": 1}'}) == [Asked("query A { a }", "A", {"x": 1})]
    assert post({"query": "{ a }", "operationName": None}) == [Asked("{ a }")]


def test_a_batch_is_as_many_requests() -> None:
    assert post([{"query": "{ a }"}, {"query": "{ b }"}]) == [Asked("{ a }"), Asked("{ b }")]
    assert post([]) == []


def test_an_address_is_read_and_a_page_or_probe_asks_nothing() -> None:
    assert get(query="query A($x: Int) { a }", variables='{"x": 1}', operationName="A") == [
        Asked("query A($x: Int) { a }", "A", {"x": 1})
    ]
    assert get() == get(page="2") == []
    assert asked_by(Request("OPTIONS", "query={a}", "", ""), b"", True, Documents()) == []


def test_text_and_forms_are_read() -> None:
    assert post(b"{ a }", "application/graphql", query="operationName=A&variables=%7B%22x%22%3A1%7D") == [
        Asked("{ a }", "A", {"x": 1})
    ]
    fields = urlencode({"query": "{ a }", "variables": '{"x": 1}'}).encode()
    assert post(fields, "application/x-www-form-urlencoded") == [Asked("{ a }", None, {"x": 1})]


@pytest.mark.parametrize("boundary", ["xyz", "----WebKitFormBoundary7MA4"])
def test_an_upload_is_read_as_far_as_its_operations_and_a_file_is_no_null(boundary: str) -> None:
    operations = {"query": "mutation A($f: [Upload]) { a }", "variables": {"f": [None, None]}}
    body = form(operations, {"0": ["variables.f.1"]}, boundary)
    expected = [Asked("mutation A($f: [Upload]) { a }", None, {"f": [None, "file"]})]
    for kind in (f"multipart/form-data; boundary={boundary}", f'multipart/form-data; charset=x; boundary="{boundary}"'):
        assert post(body, kind) == expected
        assert post(body[:-20], kind, whole=False) == expected


def test_an_upload_of_several_operations_places_its_files() -> None:
    operations = [{"query": "{ a }", "variables": {"f": None}}, {"query": "{ b }", "variables": {"f": None}}]
    asked = post(form(operations, {"0": ["1.variables.f", "0.variables.f"]}), "multipart/form-data; boundary=xyz")
    assert asked == [Asked("{ a }", None, {"f": "file"}), Asked("{ b }", None, {"f": "file"})]


@pytest.mark.parametrize(
    ("body", "kind", "whole"),
    [
        ({"query": "{ a }"}, JSON, False),
        (b"\xff", JSON, True),
        (b"[" * 100_000, JSON, True),
        (b"", JSON, True),
        (7, JSON, True),
        ({"query": 7}, JSON, True),
        ({}, JSON, True),
        ({"id": "unheard-of"}, JSON, True),
        ({"extensions": {"persistedQuery": {"sha256Hash": HASH}}}, JSON, True),
        ({"extensions": {"persistedQuery": 7}}, JSON, True),
        ({"query": "{ a }", "variables": "{"}, JSON, True),
        (b"\xff", "application/graphql", True),
        (b"query", "text/plain", True),
        (b"", "multipart/form-data", True),
        (form({"query": "{ a }"}, {"0": ["variables.none.there"]}), "multipart/form-data; boundary=xyz", True),
        (form({"query": "{ a }"}, {})[:100], "multipart/form-data; boundary=xyz", False),
    ],
)
def test_what_cannot_be_read_is_one_request_whose_document_is_not_known(body: Any, kind: str, whole: bool) -> None:
    [asked] = post(body, kind, whole)
    assert asked.source == UNKNOWN
    assert post({"query": "{ a }"}, encoding="gzip") == [Asked(UNKNOWN)]


def test_a_persisted_document_is_learned_when_it_is_registered() -> None:
    documents = Documents()
    persisted = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}}
    assert post(persisted, documents=documents)[0].source == UNKNOWN
    assert post({"query": "{ a }", **persisted}, documents=documents) == [Asked("{ a }")]
    assert post(persisted, documents=documents) == [Asked("{ a }")]
    assert get(documents, extensions=json.dumps(persisted["extensions"])) == [Asked("{ a }")]
    assert post({"documentId": f"sha256:{HASH}"}, documents=documents) == [Asked("{ a }")]


def test_a_document_is_not_learned_under_another_ones_hash() -> None:
    documents = Documents()
    persisted = {"extensions": {"persistedQuery": {"sha256Hash": HASH}}}
    assert post({"query": "{ b }", **persisted}, documents=documents) == [Asked("{ b }")]
    assert post(persisted, documents=documents)[0].source == UNKNOWN


def test_a_list_of_the_hosts_own_is_looked_up() -> None:
    documents = Documents({"list/7": "{ a }"})
    assert post({"id": "list/7"}, documents=documents) == [Asked("{ a }")]
    assert get(documents, documentId="list/7", operationName="A") == [Asked("{ a }", "A")]


def test_learned_documents_take_bounded_memory_and_what_is_asked_for_stays() -> None:
    documents = Documents()
    documents.find(HASH, "{ a }")
    size = LEARNED_CHARACTERS // 8
    for number in range(30):
        source = f"{number:0{size}}"
        documents.find(hashlib.sha256(source.encode()).hexdigest(), source)
        assert documents.find(HASH, "") == "{ a }"
        assert sum(map(len, documents._learned.values())) <= LEARNED_CHARACTERS


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"data": {"a": {"errors": [1]}}}', Answered(False, True, False)),
        (200, b'{"data": {"a": null}, "errors": [{"message": "x"}]}', Answered(True, True, False)),
        (200, b'{"errors": [{"message": "x"}], "data": null}', Answered(True, False, False)),
        (200, b'{"errors": [{"message": "x"}]}', Answered(True, False, True)),
        (400, b'{"errors": [{"message": "x"}]}', Answered(True, False, True)),
        (200, b'{"errors": [], "data": {}}', Answered(False, True, False)),
        (200, b'{"errors": null, "data": {}}', Answered(False, True, False)),
        (200, b'{"da', Answered(False, False, False)),
        (200, None, Answered(False, False, False)),
        (401, None, Answered(True, False, True)),
        (404, b"<html>", Answered(True, False, True)),
        (500, b"", Answered(True, False, False)),
        (200, b"[" * 100_000, Answered(False, False, False)),
        (200, b"7", Answered(False, False, False)),
    ],
)
def test_errors_are_seen_where_they_can_be(status: int, body: bytes | None, expected: Answered) -> None:
    assert answered_with(status, body, 1) == [expected]


def test_each_of_a_batch_has_its_own_errors() -> None:
    body = b'[{"data": {}}, {"errors": [{}]}]'
    assert answered_with(200, body, 2) == [Answered(False, True, False), Answered(True, False, True)]
    assert answered_with(200, body, 3) == [Answered(False, False, False)] * 3
    assert answered_with(400, b'{"errors": [{}]}', 2) == [Answered(True, False, True)] * 2
