"""Schema coordinates and the entries that say how an operation uses them.

A coordinate names one element of a schema in the notation of the GraphQL specification
(section "Schema Coordinates"): `User`, `User.email`, `User.posts(first:)`, `PostFilter.tag`,
`Role.ADMIN`, `@deprecated`.  `User.email` alone does not tell a field from an input field or
an enum value, so an entry carries its kind beside it.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What sort of schema element a coordinate names."""

    TYPE = "type"  # a named type that the operation needs to exist
    FIELD = "field"
    ARGUMENT = "argument"
    INPUT = "input"  # a field of an input object type
    ENUM_VALUE = "enum_value"
    DIRECTIVE = "directive"


class State(IntFlag):
    """In which states an argument or input field was seen; one operation can hold several at once."""

    NONE = 0  # no states: a field, a type, an enum value, a directive
    GIVEN = 1  # of a type: it was a scalar, of whose contents there are no entries
    NULL = 2
    ABSENT = 4
    NULLABLE_VARIABLE = 8  # stands where a variable of nullable type without a non-null default stands
    UNCERTAIN = 16  # the reporter can't tell states apart: any of them may have occurred


class Entry(NamedTuple):
    """One schema element that an operation uses.

    `named_type` is the unwrapped type of a field, argument or input field ("" for the rest).
    """

    kind: Kind
    coordinate: str
    named_type: str = ""
    state: State = State.NONE


def field(type_name: str, field_name: str) -> str:
    """`Type.field`: also the notation of input fields and enum values."""
    return f"{type_name}.{field_name}"


def argument(type_name: str, field_name: str, argument_name: str) -> str:
    """`Type.field(argument:)`."""
    return f"{type_name}.{field_name}({argument_name}:)"
