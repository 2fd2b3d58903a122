"""The GraphQL requests in an HTTP request: in a query string or a body, one or a batch.  Pure.

What is read: GET queries, JSON bodies, batched arrays, `application/graphql`, URL-encoded forms, and
the `operations` of a multipart upload (which come first in it, so the beginning of the body is
enough).  Persisted documents are named by `extensions.persistedQuery.sha256Hash`, `documentId`,
`id` or `doc_id`.
Source: GraphQL over HTTP (draft), GraphQL multipart request specification, Apollo's persisted queries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

BATCH: Final = 1_000
"""Requests of one batch that are told apart; a longer batch can't be read."""

_NAMED_BY = ("documentId", "document_id", "id", "doc_id", "queryId")
_PART_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*;\s*name="?operations"?')


class Asked(NamedTuple):
    """One GraphQL request: its document, or the name of a persisted one, or both."""

    source: str | None
    operation_name: str | None = None
    variables: Mapping[str, Any] | None = None
    document: str = ""
    is_hash: bool = False  # `document` is said to be the document's SHA-256


class Unreadable(ValueError):
    """This may ask something, but it can't be read what."""


def in_query(query_string: str) -> list[Asked]:
    """What a query string asks: nothing, or one request."""
    return _in_form(query_string) if query_string else []


def in_body(content_type: str, body: bytes) -> list[Asked]:
    """What a body asks: nothing, or one request for each entry of a batch.  Raises Unreadable."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/graphql":
        return [Asked(body.decode("utf-8", "replace"))]
    if kind == "application/x-www-form-urlencoded":
        return _in_form(body.decode("utf-8", "replace"))
    if kind == "multipart/form-data":
        body = _operations(content_type, body)
    return in_json(body)


def in_json(body: bytes) -> list[Asked]:
    """What a JSON text asks.  Raises Unreadable."""
    content = _json(body)
    entries = content if isinstance(content, list) else [content]
    if len(entries) > BATCH:
        raise Unreadable(f"a batch of {len(entries)} requests")
    return [asked for entry in entries if (asked := in_mapping(entry))]


def in_mapping(content: object) -> Asked | None:
    """What one request's parameters ask; None if they name no document at all."""
    if not isinstance(content, dict):
        return None
    source, extensions = content.get("query"), content.get("extensions")
    document, is_hash = _persisted(content, extensions if isinstance(extensions, dict) else {})
    if not isinstance(source, str) or not source:
        source = None
        if not document:
            return None
    name, variables = content.get("operationName"), content.get("variables")
    return Asked(
        source,
        name if isinstance(name, str) else None,
        variables if isinstance(variables, dict) else None,
        document,
        is_hash,
    )


def _persisted(content: Mapping[str, Any], extensions: Mapping[str, Any]) -> tuple[str, bool]:
    persisted = extensions.get("persistedQuery")
    if isinstance(persisted, dict) and isinstance(digest := persisted.get("sha256Hash"), str):
        return digest.lower(), True
    for name in _NAMED_BY:
        if (document := content.get(name)) and isinstance(document, str | int):
            return str(document), False
    return "", False


def _in_form(text: str) -> list[Asked]:
    try:
        form: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True))
    except ValueError as exc:
        raise Unreadable(str(exc)) from None
    for name in ("variables", "extensions"):
        if form.get(name):
            try:
                form[name] = _json(form[name].encode("utf-8", "surrogateescape"))
            except Unreadable:  # the server refuses it; its document is known nevertheless
                del form[name]
    asked = in_mapping(form)
    return [asked] if asked else []


def _operations(content_type: str, body: bytes) -> bytes:
    header = Message()
    header["content-type"] = content_type
    boundary = str(header.get_param("boundary", "")).encode("utf-8", "surrogateescape")
    if boundary:
        # A boundary stands at the beginning of a line; of what is cut off at the end nothing is read.
        for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            if _PART_NAME.search(head):
                return content
    raise Unreadable("no operations in a multipart body")


def _json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        try:
            return json.loads(text)  # more lenient, as many servers are: lone surrogates, other encodings
        except (ValueError, RecursionError) as exc:
            raise Unreadable(f"no JSON ({type(exc).__name__})") from None
