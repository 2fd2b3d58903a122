"""Extraction: what an operation uses of its schema, and what of its variables decides about that.

An `Extractor` is made once per schema.  Its `operation` is called once per document (callers
keep the result); `Operation.form` once per request, so it is fast; `Operation.shape` once per
form.  Two mappings of variables of equal form have equal shapes.

Nothing here raises for anything a client can send, and no literal or value of a variable gets
into a shape: only names that the schema or the document define.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    assert_valid_schema,
    parse,
    validate,
)

from ..core.coordinate import Entry
from ..core.shape import FULL_COVERAGE, Coverage, OperationType, Shape, content_hash, unique_entries
from .document import choose, neutral_text, reach
from .inputs import UNREAD, Plan, Variable, entries_of, form_of
from .places import Places
from .uses import Uses

MAX_DOCUMENT: Final = 2**20
"""Characters of a document, as sent and as stored; longer ones are not analysed."""

MAX_NAME: Final = 1024
"""Characters of an operation's name that a record takes; the rest is cut off."""

ABORTED: Final = "Validation aborted."
"""What graphql-core says of a document that it gives up on, which another version, or one that is given more
time, may find valid."""

_NOT_ANALYSED: Final[frozenset[Coverage]] = frozenset()
_STATES_UNREAD: Final = FULL_COVERAGE - {Coverage.INPUTS, Coverage.ENUM_VALUES, Coverage.STATES}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of one document under one schema.

    `invalid`: no server executes it, so it uses nothing.  An operation that is too large or too
    deep to be analysed covers nothing instead, so that answers become unknown, never unused.
    """

    name: str = ""
    type: OperationType = OperationType.UNKNOWN
    document: str = ""
    invalid: bool = False
    coverage: frozenset[Coverage] = FULL_COVERAGE
    entries: tuple[Entry, ...] = ()
    variables: tuple[Variable, ...] = ()
    plans: Mapping[str, Plan] | None = None

    def form(self, variables: Mapping[str, Any] | None) -> Hashable:
        """What of the variables decides about the shape: states of inputs and names of enum values.

        About 0.2 µs per input field provided; `()` where no variable matters.  Never raises.
        """
        return form_of(self.variables, variables) if self.variables else ()

    def shape(self, variables: Mapping[str, Any] | None) -> Shape:
        """The shape of a request with these variables: a function of their form alone."""
        form = self.form(variables)
        return Shape(
            operation=content_hash((self.document or f"{self.type} {self.name}").encode()),
            name=self.name,
            type=self.type,
            document=self.document,
            entries=unique_entries((*self.entries, *entries_of(self.variables, form, self.plans or {}))),
            coverage=_STATES_UNREAD if form == UNREAD else self.coverage,
            invalid=self.invalid,
        )


class Extractor:
    """Analyses operations against one schema; safe to share between threads."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """TypeError if the schema is not valid: no operation could be executed on it."""
        assert_valid_schema(schema)
        self._schema = schema
        self._plans: dict[str, Plan] = {}

    def operation(self, source: str, operation_name: str | None = None, *, validated: bool = False) -> Operation:
        """The operation of this document that a request with `operation_name` runs.  Never raises.

        `validated`: the host has found the document valid on this schema, by all rules of the specification,
        and is believed: validation costs far more than the rest.  What can't be followed is not analysed.
        """
        if len(source) > MAX_DOCUMENT:
            return Operation(coverage=_NOT_ANALYSED)
        try:
            document = parse(source, no_location=True)
        except GraphQLSyntaxError:
            return Operation(invalid=True)
        except RecursionError:
            return Operation(coverage=_NOT_ANALYSED)
        chosen = choose(document, operation_name)
        if chosen is None:
            return Operation(invalid=True)
        name = chosen.name.value[:MAX_NAME] if chosen.name else ""
        known = Operation(name=name, type=OperationType(chosen.operation.value))
        try:
            return self._analysed(known, document, chosen, validated)
        except Exception:  # TooLarge, RecursionError, or whatever a scalar of the host's raises in validation
            return replace(known, coverage=_NOT_ANALYSED)

    def places(self, source: str, operation_name: str | None = None) -> Places | None:
        """The places of this operation's fields, None if no operation is meant.  Raises what parsing does."""
        if len(source) > MAX_DOCUMENT:
            return None
        document = parse(source, no_location=True)
        chosen = choose(document, operation_name)
        return Places(self._schema, chosen, reach(chosen, document)) if chosen else None

    def _analysed(
        self, known: Operation, document: DocumentNode, chosen: OperationDefinitionNode, validated: bool
    ) -> Operation:
        fragments = reach(chosen, document)
        text = neutral_text(self._schema, chosen, fragments)
        if len(text) > MAX_DOCUMENT:
            return replace(known, coverage=_NOT_ANALYSED)
        if self._schema.get_root_type(chosen.operation) is None:
            return replace(known, document=text, invalid=True)
        if not validated and (errors := validate(self._schema, document, max_errors=1)):
            if errors[0].message == ABORTED:
                return replace(known, coverage=_NOT_ANALYSED)
            return replace(known, document=text, invalid=True)
        uses = Uses(self._schema, chosen, fragments)
        return replace(
            known,
            document=text,
            entries=unique_entries(uses.entries),
            variables=uses.variables(self._plans),
            plans=self._plans,
        )
