"""Shapes: what an operation uses, stored once under a hash of its content.

A shape is everything about an operation that is the same each time it is requested: its
document (literals removed), its name and type, and its entries.  Traffic then names only the
shape's id.  Two processes that see the same operation under the same schema compute the same
id without talking to each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from .coordinate import Entry


class OperationType(StrEnum):
    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"
    UNKNOWN = "unknown"  # the document could not be parsed, or names no such operation


class Coverage(StrEnum):
    """What the reporter of a shape can see; what it can't is unknown, never unused."""

    FIELDS = "fields"
    ARGUMENTS = "arguments"
    INPUTS = "inputs"
    ENUM_VALUES = "enum_values"
    STATES = "states"  # tells given, null and absent apart, reliably
    DOCUMENT = "document"  # the stored document is as valid as the original


FULL_COVERAGE = frozenset(Coverage)


@dataclass(frozen=True, slots=True)
class Shape:
    """One operation as used: `entries` sorted and unique by (kind, coordinate).

    `operation` identifies the operation whatever its variables held: shapes that differ only
    in the states of their inputs share it.  `invalid` marks a document that does not parse or
    validate: its requests count, but it uses nothing.
    """

    operation: str
    name: str
    type: OperationType
    document: str
    entries: tuple[Entry, ...]
    coverage: frozenset[Coverage] = FULL_COVERAGE
    invalid: bool = False

    def id(self) -> str:
        """128-bit content hash, as 32 hexadecimal digits."""
        content = (
            self.operation,
            self.name,
            self.type,
            self.document,
            [(entry.kind, entry.coordinate, entry.named_type, int(entry.state)) for entry in self.entries],
            sorted(self.coverage),
            self.invalid,
        )
        return content_hash(msgspec.json.encode(content))


def content_hash(content: bytes) -> str:
    """BLAKE2b cut to 128 bits, as 32 hexadecimal digits: the id of shapes, schemas and operations."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def unique_entries(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries sorted by (kind, coordinate), the states of equal ones united."""
    merged: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        key = (entry.kind, entry.coordinate)
        held = merged.get(key)
        if held is None:
            merged[key] = entry
        elif held.state != entry.state:
            merged[key] = held._replace(state=held.state | entry.state)
    return tuple(merged[key] for key in sorted(merged))
