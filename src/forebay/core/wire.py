"""The native protocol: what an agent sends to a collector (see docs/wire.md).

`POST /v1/reports`, `Authorization: Bearer <token>`, one JSON object, optionally compressed
(`Content-Encoding: zstd` or `gzip`).  The organisation and graph are the token's.  The agent
retries the same bytes until they are acknowledged: `agent` and `sequence` make it count once.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .record import VERSION, ExecutionColumns, Reasons, SchemaColumns, ShapeColumns, TallyColumns

PATH = "/v1/reports"


class Head(TallyColumns, kw_only=True):
    """A report without what its tallies name."""

    v: Literal[1] = VERSION
    agent: Annotated[str, Meta(min_length=1, max_length=128)]
    sequence: Annotated[int, Meta(ge=1, le=2**53)]
    lost: Reasons = {}
    executions: ExecutionColumns | UnsetType = UNSET


class Push(Head, kw_only=True):
    """One report as an agent sends it: its tallies, and each shape and schema that they name
    unless this agent has had it acknowledged earlier the same day."""

    shapes: list[ShapeColumns] = []
    schemas: list[SchemaColumns] = []


_encoder = msgspec.json.Encoder()


def encode(push: Push) -> bytes:
    """One JSON object, UTF-8."""
    return _encoder.encode(push)
