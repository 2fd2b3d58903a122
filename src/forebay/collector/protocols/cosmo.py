"""Cosmo's protocol: Connect unary calls from unmodified routers, turned into shapes and tallies.

`POST /wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/…`, protobuf or JSON.  A report has no id
and no time: equal bytes are equal traffic and never a repeat, and tallies get the minute of
arrival.  Routers drop a batch at once on `invalid_argument`, `unauthenticated` and
`permission_denied`, and retry everything else for some 20 s.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError

from ...core.record import MAX_COUNT
from ...core.shape import Shape
from ...core.tally import Count, Key, Tallies, fold
from ...errors import RejectRecord
from . import cosmo_pb2 as pb
from .cosmo_entries import MAX_ENTRIES, Use, use


class Call(StrEnum):
    """The two procedures of the service, by name."""

    AGGREGATED = "PublishAggregatedGraphQLMetrics"
    PLAIN = "PublishGraphQLMetrics"  # older routers: one item for each request


PATHS: Final = {f"/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/{call}": call for call in Call}

CODECS: Final = {"application/proto": "proto", "application/json": "json"}
"""Content type → codec."""

MAX_REPORT_ENTRIES: Final = 10 * MAX_ENTRIES  # a router sends up to 1,024 distinct operations at once


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, complete but for what every response has."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one report says.  `shapes` holds each shape that `tallies` name, by id."""

    tallies: Tallies
    shapes: dict[str, Shape]


_STATUS: Final = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}


def codec_of(content_type: str) -> str | None:
    """The codec of a content type, its parameters ignored; None if it is none of ours."""
    return CODECS.get(content_type.partition(";")[0].strip().lower())


def success(content_type: str) -> Answer:
    """An empty message in the codec of the request: with another content type the router would send again."""
    if codec_of(content_type) == "json":
        return Answer(200, {"content-type": "application/json"}, b"{}")
    return Answer(200, {"content-type": "application/proto"}, b"")


def failure(code: str, message: str) -> Answer:
    """A Connect error, under the HTTP status that the Connect protocol gives its code."""
    body = json.dumps({"code": code, "message": message}).encode()
    return Answer(_STATUS[code], {"content-type": "application/json"}, body)


def refusal(method: str, headers: Mapping[str, str]) -> Answer | None:
    """Why a request to one of PATHS is not read at all, or None.  `headers` are looked up in lower case."""
    if method != "POST":
        return Answer(405, {"allow": "POST"}, b"")
    if codec_of(headers.get("content-type", "")) is None:
        return Answer(415, {"accept-post": ", ".join(CODECS)}, b"")
    encoding = headers.get("content-encoding") or "identity"
    if encoding not in ("identity", "gzip"):
        return failure("unimplemented", f"unknown content-encoding {encoding!r}: gzip and identity are taken")
    version = headers.get("connect-protocol-version") or "1"
    if version != "1":
        return failure("invalid_argument", f"unknown connect-protocol-version {version!r}: 1 is taken")
    timeout = headers.get("connect-timeout-ms") or "0"
    if not re.fullmatch("[0-9]{1,10}", timeout):
        return failure("invalid_argument", f"connect-timeout-ms {timeout!r} is not a number of up to 10 digits")
    return None


class Normaliser:
    """Turns reports into batches.  One for each process: what it remembers serves all graphs.

    Routers send the same bytes for the same operation again and again, so an item is read once
    and then known by its bytes, within a bound of `items` and about `size` bytes.
    Not for several threads at once.
    """

    def __init__(self, items: int = 2**16, size: int = 2**27) -> None:
        self._known = _Known(items, size)

    def batch(self, call: Call, codec: str, body: bytes, minute: int) -> Batch:
        """The tallies and shapes of one report, all in the minute of its arrival.

        `codec` is that of the content type, `body` is decompressed.  RejectRecord and nothing
        else otherwise: `malformed`, or `too_large` with a message that names the limit.
        """
        if codec == "json":
            body = _canonical(call, _parsed_json(call, body))
        try:
            items = _items(call, body)
        except (IndexError, ValueError):  # unusual or broken: the runtime has the last word
            body = _canonical(call, _parsed(call, body))
            items = _items(call, body)
        if len(items) > MAX_ENTRIES:
            raise RejectRecord("too_large", f"a report has more than {MAX_ENTRIES:,} items")
        if sum(count for _, count in items) > MAX_COUNT:
            raise RejectRecord("malformed", f"a report counts more than {MAX_COUNT} requests")
        shapes: dict[str, Shape] = {}
        tallies = fold({}, self._counted(call, body, items, minute, shapes))
        if sum(len(shape.entries) for shape in shapes.values()) > MAX_REPORT_ENTRIES:
            raise RejectRecord("too_large", f"a report has more than {MAX_REPORT_ENTRIES:,} entries")
        return Batch(tallies, shapes)

    def _counted(
        self, call: Call, body: bytes, items: list[tuple[bytes, int]], minute: int, shapes: dict[str, Shape]
    ) -> Iterator[tuple[Key, Count]]:
        message: _Request | None = None
        for index, (item, count) in enumerate(items):
            known = self._known.get(item)
            if known is None:
                if message is None:
                    message = _parsed(call, body)
                known = use(_usage(message, index))
                self._known.put(item, known)
            if count:
                shapes[known.key[1]] = known.shape
                yield (minute, *known.key), (count, count if known.failed else 0, {})


class _Known:
    """The items read most recently, by their bytes."""

    def __init__(self, items: int, size: int) -> None:
        self._uses: OrderedDict[bytes, Use] = OrderedDict()
        self._items, self._size, self._held = items, size, 0

    def get(self, item: bytes) -> Use | None:
        known = self._uses.get(item)
        if known is not None:
            self._uses.move_to_end(item)
        return known

    def put(self, item: bytes, known: Use) -> None:
        self._uses[item] = known
        self._held += _weight(item, known)
        while len(self._uses) > self._items or self._held > self._size:
            self._held -= _weight(*self._uses.popitem(last=False))


def _weight(item: bytes, known: Use) -> int:
    """About how many bytes it takes to remember an item."""
    return 1000 + len(item) + len(known.shape.document) + 250 * len(known.shape.entries)


_Request = pb.PublishAggregatedGraphQLRequestMetricsRequest | pb.PublishGraphQLRequestMetricsRequest


def _request(call: Call) -> _Request:
    if call is Call.AGGREGATED:
        return pb.PublishAggregatedGraphQLRequestMetricsRequest()
    return pb.PublishGraphQLRequestMetricsRequest()


def _usage(message: _Request, index: int) -> pb.SchemaUsageInfo:
    if isinstance(message, pb.PublishAggregatedGraphQLRequestMetricsRequest):
        return message.Aggregation[index].SchemaUsage
    return message.SchemaUsage[index]


def _parsed(call: Call, body: bytes) -> _Request:
    message = _request(call)
    try:
        message.ParseFromString(body)
    except DecodeError as exc:
        raise RejectRecord("malformed", str(exc)) from exc
    return message


def _parsed_json(call: Call, body: bytes) -> _Request:
    if not body.lstrip().startswith(b"{"):  # the runtime takes any empty list or string for an empty message
        raise RejectRecord("malformed", "the body is not a JSON object")
    try:
        return Parse(body, _request(call), ignore_unknown_fields=True)
    except (ParseError, ValueError) as exc:
        raise RejectRecord("malformed", str(exc)) from exc


def _canonical(call: Call, message: _Request) -> bytes:
    """The message as `_items` can take it apart."""
    if isinstance(message, pb.PublishAggregatedGraphQLRequestMetricsRequest):
        for aggregation in message.Aggregation:
            if not aggregation.HasField("SchemaUsage"):
                raise RejectRecord("malformed", "an aggregation has no SchemaUsage")
            if aggregation.RequestCount > MAX_COUNT:
                raise RejectRecord("malformed", f"an aggregation counts more than {MAX_COUNT} requests")
    message.DiscardUnknownFields()
    return message.SerializeToString(deterministic=True)


def _items(call: Call, body: bytes) -> list[tuple[bytes, int]]:
    """(SchemaUsage, RequestCount) of each item, without looking into the first.

    Only for bodies as routers write them: known fields, once each and in order.  ValueError or
    IndexError for all others, broken or just unusual.
    """
    items = []
    at, end = 0, len(body)
    while at < end:
        start, at = _message(body, at, end)
        if call is Call.PLAIN:
            items.append((body[start:at], 1))
            continue
        usage, counted = _message(body, start, at)
        count = 0
        if counted < at:
            if body[counted] != 0x10:  # field 2, a varint
                raise ValueError("not the count")
            count, stop = _varint(body, counted + 1)
            if stop != at:
                raise ValueError("not the end of the item")
        items.append((body[usage:counted], count))
    return items


def _message(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the message starts and ends that is field 1 and whose tag is at `at`."""
    if body[at] != 0x0A:  # field 1, length-delimited
        raise ValueError("not field 1")
    length, start = _varint(body, at + 1)
    if start - at > 5 or start + length > end:
        raise ValueError("too long")
    return start, start + length


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A varint of at most 56 bits, and where it ends."""
    value = body[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for shift in range(7, 56, 7):
        at += 1
        byte = body[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
    raise ValueError("too many bytes")
