"""The native protocol, as a collector reads it (`core/wire.py` is what an agent writes).

Many agents bring the same shapes, and each of them again every day, so a shape is read and
checked once and then known by its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial

import msgspec

from ...core.record import SchemaColumns, ShapeColumns
from ...core.wire import Head
from ...errors import RejectRecord
from ..intake import Describe

REMEMBERED = 500_000
"""Shapes that are known by their bytes: some 150 bytes of memory each."""


class Arrived(Head, kw_only=True):
    """A report whose shapes are not looked into yet."""

    shapes: list[msgspec.Raw] = []
    schemas: list[SchemaColumns] = []


_report = msgspec.json.Decoder(Arrived)
_shape = msgspec.json.Decoder(ShapeColumns)


class Normaliser:
    """Reads reports.  One for each process; not for several threads at once."""

    def __init__(self) -> None:
        self._ids: dict[bytes, str] = {}  # hash of a shape's bytes → its id, which was checked

    def read(self, body: bytes) -> tuple[Head, Mapping[str, Describe]]:
        """The report, and how to describe what it names, by id.  RejectRecord `malformed` and nothing else."""
        try:
            report = _report.decode(body)
            named: dict[str, Describe] = {schema.id: partial(_itself, schema) for schema in report.schemas}
            for raw in report.shapes:
                digest = hashlib.blake2b(raw, digest_size=16).digest()
                id_ = self._ids.get(digest) or self._learn(digest, raw)
                named[id_] = partial(_shape.decode, raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            raise RejectRecord("malformed", str(exc)) from exc
        return report, named

    def _learn(self, digest: bytes, raw: msgspec.Raw) -> str:
        columns = _shape.decode(raw)
        if columns.shape().id() != columns.id:
            raise ValueError(f"shape {columns.id} is not the hash of its content")
        if len(self._ids) >= REMEMBERED:
            self._ids.clear()  # costs some reading that was done already
        self._ids[digest] = columns.id
        return columns.id


def _itself(schema: SchemaColumns) -> SchemaColumns:
    return schema
