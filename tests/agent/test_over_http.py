"""What a bystander reads of GraphQL over HTTP: never less than was asked, never more than is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from forebay.agent.http_request import Asked
from forebay.agent.integrations.over_http import Answered, Request, answered_with, asked_by

JSON = "application/json"


def post(body: Any, kind: str = JSON, whole: bool = True, encoding: str = "") -> list[Asked]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asked_by(Request("POST", "", kind, encoding), content, whole)


def test_an_address_is_read_and_a_page_or_probe_asks_nothing() -> None:
    assert asked_by(Request("GET", "query=%7Ba%7D&operationName=A", "", ""), b"", True) == [Asked("{a}", "A")]
    assert asked_by(Request("GET", "page=2", "", ""), b"", True) == []
    assert asked_by(Request("OPTIONS", "query={a}", "", ""), b"", True) == []


def test_a_batch_is_as_many_requests() -> None:
    assert post([{"query": "{ a }"}, {"query": "{ b }"}]) == [Asked("{ a }"), Asked("{ b }")]
    assert post([]) == []


@pytest.mark.parametrize(
    ("body", "kind", "whole"),
    [
        ({"query": "{ a }"}, JSON, False),
        (b"\xff", JSON, True),
        (b"[" * 100_000, JSON, True),
        (b"", JSON, True),
        (7, JSON, True),
        ({}, JSON, True),
        (b"query", "text/plain", True),
        (b"", "multipart/form-data", True),
        (b"--xyz", "multipart/form-data; boundary=xyz", False),
    ],
)
def test_what_cannot_be_read_is_one_request_whose_document_is_not_known(body: Any, kind: str, whole: bool) -> None:
    assert post(body, kind, whole) == [Asked(None)]
    assert post({"query": "{ a }"}, encoding="gzip") == [Asked(None)]


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
