"""Documents as clients send them may hold secrets in their literals: nothing else of them may be kept.

Without a schema: every literal becomes the neutral one of its kind (`0`, `0.0`, `""`, `true`);
enum values, nulls, lists, object keys and variables stay, comments go and descriptions are
emptied.  What was valid stays valid: equal literals stay equal, and validation looks at the kind alone.
A document that can't be parsed can't be cleaned, so none of it may be kept.
"""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    Node,
    StringValueNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

MAX_TOKENS: Final = 50_000  # under a second of reading; what people write is far below


def parsed(document: str) -> DocumentNode | None:
    """The document, or None if it is empty, no GraphQL, too long or too deep."""
    try:
        return parse(document, no_location=True, max_tokens=MAX_TOKENS)
    except (GraphQLError, RecursionError):
        return None


def neutral(document: DocumentNode) -> str:
    """The document printed without its literals."""
    return print_ast(visit(document, _Neutral()))


class _Neutral(Visitor):
    @staticmethod
    def enter_int_value(*_: Any) -> Node:
        return IntValueNode(value="0")

    @staticmethod
    def enter_float_value(*_: Any) -> Node:
        return FloatValueNode(value="0.0")

    @staticmethod
    def enter_boolean_value(*_: Any) -> Node:
        return BooleanValueNode(value=True)

    @staticmethod
    def enter_string_value(*_: Any) -> Node:
        return StringValueNode(value="", block=False)
