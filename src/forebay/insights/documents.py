"""Judge 1: is a stored document, valid on the old schema, still valid on the new one?  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
    parse,
    specified_rules,
    validate,
)

from .conditions import Answers, compared
from .type_changes import all_reachable

MOST_DOCUMENTS = 1_000
"""Each takes milliseconds; who asks waits."""
_ABORTED = "Validation aborted."  # by graphql-core, of a document that takes it too long

_OF_THE_DOCUMENT = frozenset(
    (
        "ExecutableDefinitionsRule",
        "KnownFragmentNamesRule",
        "LoneAnonymousOperationRule",
        "NoFragmentCyclesRule",
        "NoUndefinedVariablesRule",
        "NoUnusedFragmentsRule",
        "NoUnusedVariablesRule",
        "UniqueArgumentNamesRule",
        "UniqueFragmentNamesRule",
        "UniqueInputFieldNamesRule",
        "UniqueOperationNamesRule",
        "UniqueVariableNamesRule",
    )
)
"""Rules that look at no schema: what they find, no change of one did."""
_RULES = [rule for rule in specified_rules if rule.__name__ not in _OF_THE_DOCUMENT]


@dataclass(frozen=True, slots=True)
class Judged:
    """`broken`: what is wrong with it only since the change, empty if nothing is.

    `answers`: how those differ if nothing is, None if that can't be told.
    `reach`: names of all types that values of its variables can hold; `nullable`: can a variable be null?
    """

    broken: tuple[str, ...]
    answers: Answers | None
    reach: frozenset[str]
    nullable: bool


class Documents:
    """Judges each document once, many shapes share one; the first `MOST_DOCUMENTS` of them."""

    def __init__(self, old: GraphQLSchema, new: GraphQLSchema) -> None:
        self._old = old
        self._new = new
        self._judged: dict[str, Judged | None] = {}

    def judge(self, text: str) -> Judged | None:
        """None for what is not judged: one too many, none that can be read, or one that the old schema refuses."""
        if text not in self._judged:
            if self.full:
                return None
            self._judged[text] = self._judge(text)
        return self._judged[text]

    @property
    def full(self) -> bool:
        return len(self._judged) >= MOST_DOCUMENTS

    def _judge(self, text: str) -> Judged | None:
        try:
            document = parse(text, no_location=True)
            wrong = _errors(self._new, document)
            if wrong and wrong[0] == _ABORTED:
                return None
            if wrong:
                # What was wrong before is nothing that the change did.  Valid where it ran, it ran on another schema.
                already = set(_errors(self._old, document))
                wrong = [message for message in wrong if message not in already]
                if not wrong:
                    return None
        except (GraphQLError, RecursionError):
            return None
        types = [
            variable.type
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
            for variable in node.variable_definitions or ()
        ]
        return Judged(
            broken=tuple(wrong),
            answers=None if wrong else compared(self._old, self._new, document),
            reach=all_reachable((self._old, self._new), map(_named, types)),
            nullable=any(not isinstance(type_, NonNullTypeNode) for type_ in types),
        )


def _errors(schema: GraphQLSchema, document: DocumentNode) -> list[str]:
    missing = [
        f"The schema has no {node.operation.value} operations."
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and schema.get_root_type(node.operation) is None
    ]
    return missing or [error.message for error in validate(schema, document, _RULES)]


def _named(node: TypeNode) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined]  # what is not named wraps another
    return node.name.value
