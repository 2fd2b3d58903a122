"""GraphQL over HTTP, as a bystander reads it: what a request asks, and how it was answered.

Pure: bytes in, names out.  Nothing is claimed that can't be known: a request whose document is not
to be seen has the document "", and counts as not analysed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from ..places import Errors, errors_at

UNKNOWN: Final = ""
"""The document of a request that may have been executed, though its document was not seen."""
UNREADABLE: Final = "#"
"""Stands for the document of a request of which nothing was executed: it does not parse."""

LEARNED_CHARACTERS: Final = 8 * 2**20
"""Of registered documents, of one generation; what was not asked for in two is forgotten."""


class Request(NamedTuple):
    """The parts of an HTTP request that say what it asks; "" where a header is missing."""

    method: str
    query: str
    content_type: str
    content_encoding: str


class Asked(NamedTuple):
    """One GraphQL request."""

    source: str
    operation_name: str | None = None
    variables: Any = None


class Answered(NamedTuple):
    """`errors` that were seen; `executed` where it is certain that something was, `refused` that nothing was.

    `at`: the paths of the errors, as far as they were read.
    """

    errors: bool
    executed: bool
    refused: bool
    at: Errors = {}


class Documents:
    """Persisted documents by their ids: those that are given, and those that clients register."""

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = given or {}
        self._learned: dict[str, str] = {}
        self._older = self._learned
        self._characters = 0

    def find(self, identifier: str, source: str) -> str:
        """The document of a request, "" where it is not known; learns one that is sent along with its own hash.

        Automatic persisted queries: the id is the document's SHA-256.
        """
        digest = identifier.removeprefix("sha256:")
        known = self._learned.get(digest)
        if known is None:
            known = source or self._older.get(digest, "")
            if known and hashlib.sha256(known.encode(errors="replace")).hexdigest() == digest:
                self._learn(digest, known)
        return source or known or self._given.get(identifier) or UNKNOWN

    def _learn(self, identifier: str, source: str) -> None:
        self._characters += len(source)
        if self._characters > LEARNED_CHARACTERS:
            self._older, self._learned, self._characters = self._learned, {}, len(source)
        self._learned[identifier] = source


def asked_by(request: Request, body: bytes, whole: bool, documents: Documents) -> list[Asked]:
    """What a request to the GraphQL address asks; several for a batch, none for a page or a probe.

    `body` may be the beginning of one, then it is not `whole`.  Never raises.
    """
    try:
        parameters = dict(parse_qsl(request.query, keep_blank_values=True))
        if request.method == "GET":
            if not parameters.keys() & {"query", "extensions", "documentId", "id"}:
                return []
            return [asked_of(parameters, documents)]
        if request.method != "POST":
            return []
        if request.content_encoding not in ("", "identity"):
            return [Asked(UNKNOWN)]
        content = _content(request.content_type, parameters, body, whole)
        return [asked_of(item, documents) for item in (content if isinstance(content, list) else [content])]
    except Exception:  # whatever a client can send
        return [Asked(UNKNOWN)]


def asked_of(content: Any, documents: Documents) -> Asked:
    """What one decoded request asks.  Raises what its JSON does."""
    if not isinstance(content, Mapping):
        return Asked(UNKNOWN)
    source, name = content.get("query"), content.get("operationName")
    variables, extensions = _decoded(content.get("variables")), _decoded(content.get("extensions"))
    identifier = content.get("documentId") or content.get("id") or _persisted(extensions)
    source = source if isinstance(source, str) else ""
    return Asked(
        documents.find(identifier, source) if isinstance(identifier, str) else source,
        name if isinstance(name, str) else None,
        variables,
    )


def answered_with(status: int, body: bytes | None, number: int) -> list[Answered]:
    """How each of `number` requests was answered; `body` is None where it was not seen in full.  Never raises."""
    unread = Answered(errors=status >= 400, executed=False, refused=400 <= status < 500)
    try:
        results = msgspec.json.decode(body or b"", type=_Result | list[_Result])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [unread] * number
    if not isinstance(results, list):
        return [_answered(results)] * number
    return [_answered(result) for result in results] if len(results) == number else [unread] * number


class _Result(msgspec.Struct):
    errors: msgspec.Raw = msgspec.Raw(b"null")
    data: msgspec.Raw = msgspec.Raw(b"")


def _answered(result: _Result) -> Answered:
    errors = bytes(result.errors).strip() not in (b"null", b"[]")
    data = bytes(result.data)  # many servers answer what they refuse with null
    at = errors_at(msgspec.json.decode(result.errors)) if errors else {}
    return Answered(errors, executed=data not in (b"", b"null"), refused=errors and not data, at=at)


def _content(content_type: str, parameters: dict[str, str], body: bytes, whole: bool) -> Any:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _uploads(content_type, body)
    if not whole:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        return json.loads(body)
    if kind == "application/graphql":
        return {**parameters, "query": body.decode()}
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode()))
    return None


def _persisted(extensions: Any) -> Any:
    persisted = extensions.get("persistedQuery") if isinstance(extensions, Mapping) else None
    return persisted.get("sha256Hash") if isinstance(persisted, Mapping) else None


def _decoded(value: Any) -> Any:
    """Parameters of an address or a form hold JSON."""
    return json.loads(value or "null") if isinstance(value, str) else value


def _uploads(content_type: str, body: bytes) -> Any:
    """The operations of a multipart request, with something in each place that a file takes.

    Source: GraphQL multipart request specification: operations and map come before the files.
    """
    found = re.search(r'boundary="?([^";,]+)', content_type)
    boundary = b"\r\n--" + found[1].strip().encode() if found else b"\r\n--"
    fields = {}
    for part in (b"\r\n" + body).split(boundary)[1:-1]:  # the last one is the end, or is cut off
        head, _, value = part.partition(b"\r\n\r\n")
        if name := re.search(rb'[; ]name="?(operations|map)"?(?:[;\r]|$)', head):
            fields[name[1]] = json.loads(value)
    for places in fields[b"map"].values():
        for place in places:
            _put_file(fields[b"operations"], place.split("."))
    return fields[b"operations"]


def _put_file(target: Any, way: list[str]) -> None:
    for step in way[:-1]:
        target = target[int(step) if isinstance(target, list) else step]
    target[int(way[-1]) if isinstance(target, list) else way[-1]] = "file"
