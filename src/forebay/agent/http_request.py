"""The GraphQL requests in an HTTP request: in a query string or a body, one or a batch.  Pure.

What is read: GET queries, JSON bodies, batched arrays, `application/graphql`, URL-encoded forms, and
the `operations` of a multipart upload (which come first in it, so the beginning of the body is
enough).  Persisted documents are named by `extensions.persistedQuery.sha256Hash`, `documentId`,
`id` or `doc_id`.  Nothing is claimed that can't be known: a request whose document or variables are
in no form that is read here has no source.
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
_PART = re.compile(rb'(?i)content-disposition:[^\r\n]*;\s*name="?(operations|map)"?\s*(?:[;\r]|$)')


NOTHING_EXECUTED: Final = ""
"""Stands for the document of a request of which nothing was executed."""


class Asked(NamedTuple):
    """One GraphQL request: its document, or the name of a persisted one, or both; neither where it is not known."""

    source: str | None
    operation_name: str | None = None
    variables: Mapping[str, Any] | None = None
    document: str = ""  # a SHA-256 in lower case, where it is one


class Unreadable(ValueError):
    """This may ask something, but it can't be read what."""


def kind_of(content_type: str) -> str:
    """The media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def in_query(query_string: str) -> list[Asked]:
    """What a query string asks: nothing, or one request.  Raises Unreadable."""
    parameters = _form(query_string)
    return [in_mapping(parameters)] if parameters.keys() & {"query", "extensions", *_NAMED_BY} else []


def in_body(content_type: str, body: bytes, query_string: str = "") -> list[Asked]:
    """What a body asks: a request for each entry of a batch.  Raises Unreadable.

    The query string holds the rest of what is a plain document; where the body names no document, all of it.
    """
    kind = kind_of(content_type)
    if kind == "application/graphql":
        return [in_mapping({**_form(query_string), "query": body.decode("utf-8", "replace")})]
    if kind == "application/x-www-form-urlencoded":
        content: Any = _form(body.decode("utf-8", "replace"))
    else:
        content = _upload(content_type, body) if kind == "multipart/form-data" else _json(body)
    entries = content if isinstance(content, list) else [content]
    if len(entries) > BATCH:
        raise Unreadable(f"a batch of {len(entries)} requests")
    asked = [in_mapping(entry) for entry in entries]
    return asked if any(one.source or one.document for one in asked) else in_query(query_string) or asked


def in_mapping(content: object) -> Asked:
    """What one request's parameters ask."""
    if not isinstance(content, dict):
        return Asked(None)
    source, name, variables = content.get("query"), content.get("operationName"), content.get("variables")
    name = name if isinstance(name, str) else None
    try:
        variables = _decoded(variables) or None
    except Unreadable:
        variables = "?"
    if variables is not None and not isinstance(variables, dict):
        return Asked(None, name)
    return Asked(source if isinstance(source, str) and source else None, name, variables, _persisted(content))


def _persisted(content: Mapping[str, Any]) -> str:
    try:
        extensions = _decoded(content.get("extensions"))
    except Unreadable:  # the server refuses it, or does without
        extensions = None
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if isinstance(persisted, dict) and isinstance(digest := persisted.get("sha256Hash"), str):
        return digest.lower()
    for name in _NAMED_BY:
        if (document := content.get(name)) and isinstance(document, str | int):
            return str(document).removeprefix("sha256:")
    return ""


def _decoded(value: Any) -> Any:
    """Parameters of a query string or form hold JSON, and those of a JSON body do now and then."""
    return _json(value.encode("utf-8", "surrogatepass")) if value and isinstance(value, str) else value


def _form(text: str) -> dict[str, Any]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True))
    except ValueError as exc:
        raise Unreadable(str(exc)) from None


def _upload(content_type: str, body: bytes) -> Any:
    """The operations of a multipart request, with something in each place that a file takes, which is no null."""
    header = Message()
    header["content-type"] = content_type
    boundary = str(header.get_param("boundary", "")).encode("utf-8", "surrogateescape")
    fields: dict[bytes, Any] = {}
    # A boundary stands at the beginning of a line; of what is cut off at the end nothing is read.
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else ():
        head, _, content = part.partition(b"\r\n\r\n")
        if (name := _PART.search(head)) and name[1].lower() not in fields:
            fields[name[1].lower()] = _json(content)
    try:
        for places in fields[b"map"].values():
            for place in places:
                _put_file(fields[b"operations"], place.split("."))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise Unreadable("no operations in a multipart body, or no places for its files") from None
    return fields[b"operations"]


def _put_file(target: Any, way: list[str]) -> None:
    *steps, last = way
    for step in steps:
        target = target[int(step) if isinstance(target, list) else step]
    target[int(last) if isinstance(target, list) else last] = "file"


def _json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        try:
            return json.loads(text)  # more lenient, as many servers are: lone surrogates, other encodings
        except (ValueError, RecursionError) as exc:
            raise Unreadable(f"no JSON ({type(exc).__name__})") from None
