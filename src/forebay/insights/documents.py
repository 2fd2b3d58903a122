"""Judge 1: is a stored document, valid on the old schema, still valid on the new one?  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
    VariableNode,
    Visitor,
    visit,
)

from .conditions import Answers, compared
from .type_changes import all_reachable
from .validity import ABORTED, errors_of, parsed

MOST_DOCUMENTS = 1_000
"""Each takes a millisecond; who asks waits."""


@dataclass(frozen=True, slots=True)
class Judged:
    """`broken`: what is wrong with it only since the change, empty if nothing is.

    `answers`: how those differ if nothing is, None if that can't be told.
    `reach`: names of all types that values of its variables can hold; `nullable`: can a variable be null?
    `in_lists`: can one that stands in a list of the document?
    """

    broken: tuple[str, ...]
    answers: Answers | None
    reach: frozenset[str]
    nullable: bool
    in_lists: bool


class Documents:
    """Judges each document once, many shapes share one; the first `MOST_DOCUMENTS` of them."""

    def __init__(self, old: GraphQLSchema, new: GraphQLSchema) -> None:
        self._old = old
        self._new = new
        self._judged: dict[str, Judged | None] = {}

    def read(self, texts: Iterable[str]) -> None:
        """Judge these together, which takes a fifth of the time that they take one by one."""
        unread = [text for text in dict.fromkeys(texts) if text not in self._judged]
        documents = {text: parsed(text, number) for number, text in enumerate(unread[: self._room()])}
        self._judged |= dict.fromkeys(documents)
        known = [(number, document) for number, document in enumerate(documents.values()) if document]
        wrong = dict(zip((number for number, _ in known), errors_of(self._new, known), strict=True))
        # What was wrong before is nothing that the change did.  Valid where it ran, it ran on another schema.
        again = [(number, document) for number, document in known if wrong[number]]
        already = dict(zip((number for number, _ in again), errors_of(self._old, again), strict=True))
        for number, (text, document) in enumerate(documents.items()):
            if document is None or wrong[number][:1] == [ABORTED]:
                continue
            broken = [message for message in wrong[number] if message not in already[number]] if wrong[number] else []
            if broken or not wrong[number]:
                self._judged[text] = self._judge(document, broken)

    def judge(self, text: str) -> Judged | None:
        """None for what is not judged: one too many, none that can be read, or one that the old schema refuses."""
        self.read([text])
        return self._judged.get(text)

    @property
    def full(self) -> bool:
        return self._room() <= 0

    def _room(self) -> int:
        return MOST_DOCUMENTS - len(self._judged)

    def _judge(self, document: DocumentNode, broken: list[str]) -> Judged:
        types = {
            variable.variable.name.value: variable.type
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
            for variable in node.variable_definitions or ()
        }
        nullable = {name for name, type_ in types.items() if not isinstance(type_, NonNullTypeNode)}
        return Judged(
            broken=tuple(broken),
            answers=None if broken else compared(self._old, self._new, document),
            reach=all_reachable((self._old, self._new), map(_named, types.values())),
            nullable=bool(nullable),
            in_lists=bool(nullable and nullable & _elements(document)),
        )


def _elements(document: DocumentNode) -> set[str]:
    """The variables that stand in lists."""
    found: set[str] = set()

    class Lists(Visitor):
        def enter_list_value(self, node: ListValueNode, *_: Any) -> None:
            found.update(each.name.value for each in node.values if isinstance(each, VariableNode))

    visit(document, Lists())
    return found


def _named(node: TypeNode) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined]  # what is not named wraps another
    return node.name.value
