"""Which documents are broken for sure, because they select a field that only the old schema has.  Pure.

Nothing has to be validated for that, and of all changes the removal of a field concerns the most documents.
"""

from __future__ import annotations

from typing import Final

from graphql import GraphQLSchema, get_named_type

from .evidence import Evidence
from .type_changes import field_at, of_interfaces, root_name

_GONE: Final = ""
_OF_INTERFACE: Final = "*"
"""Gone, but recorded of an object type, perhaps, because it was selected on an interface."""


class Gone:
    """Looks each field of the schemas up once, however many shapes select it."""

    def __init__(self, old: GraphQLSchema, new: GraphQLSchema) -> None:
        self._old = old
        self._new = new
        self._returned: dict[str, str | None] = {}

    def selected(self, evidence: Evidence) -> str:
        """A selected field that only the old schema has; empty if there is none, or if that can't be told.

        Its document is broken for sure: all fields that are left return the types that they returned
        where it ran, so each selection stands on the type that it stood on.
        """
        before, after = (root_name(schema, evidence.shape.type) for schema in (self._old, self._new))
        if not before == after != "":
            return ""
        gone = ""
        for coordinate, entry in evidence.fields.items():
            try:
                returned = self._returned[coordinate]
            except KeyError:
                returned = self._returned[coordinate] = self._returns(coordinate)
            if returned == _GONE:
                gone = coordinate
            elif returned not in (entry.named_type, _OF_INTERFACE):
                return ""
        return gone

    def _returns(self, coordinate: str) -> str | None:
        """The type that a field returns on the new schema; None if the old one does not have it."""
        before, after = (field_at(schema, coordinate) for schema in (self._old, self._new))
        if before is None:
            return None
        if after is not None:
            return str(get_named_type(after.type).name)
        return _OF_INTERFACE if of_interfaces(self._old, coordinate) else _GONE
