"""What validation finds wrong with documents on a schema: many at a time, because most of its price is a call's.  Pure.

graphql-core finds out anew in each call which of its rules look at which kind of node.  So the
documents' operations and fragments are put into one document, the fragments renamed apart.  Only
rules are asked that look at the schema: what the others find, no change of one did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    NameNode,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

ABORTED = "Validation aborted."
"""Of a document that takes graphql-core too long."""
TOGETHER = 100
"""Documents in a call: of more a share is hardly cheaper, and one that is wrong makes the call's others wait for it."""

_OF_THE_DOCUMENT = frozenset(
    (
        "DeferStreamDirectiveLabel",
        "DeferStreamDirectiveOnValidOperationsRule",
        "ExecutableDefinitionsRule",
        "KnownFragmentNamesRule",
        "LoneAnonymousOperationRule",
        "MaxIntrospectionDepthRule",
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
_RULES = [rule for rule in specified_rules if rule.__name__ not in _OF_THE_DOCUMENT]


def parsed(text: str, number: int) -> DocumentNode | None:
    """None for what can't be read.  The number, another for each document, sets its fragments apart."""
    try:
        document = parse(text)
        names = sorted(_names_of_fragments(document), key=lambda name: name.loc.end if name.loc else 0, reverse=True)
        for name in names:
            end = name.loc.end if name.loc else 0
            text = f"{text[:end]}{_apart(number)}{text[end:]}"
        return parse(text) if names else document
    except (GraphQLError, RecursionError):
        return None


def errors_of(schema: GraphQLSchema, documents: Sequence[tuple[int, DocumentNode]]) -> list[list[str]]:
    """For each of the numbered documents, what is wrong with it."""
    portions = (documents[first : first + TOGETHER] for first in range(0, len(documents), TOGETHER))
    return [errors for portion in portions for errors in _errors_together(schema, portion)]


def _errors_together(schema: GraphQLSchema, documents: Sequence[tuple[int, DocumentNode]]) -> list[list[str]]:
    """The operations of types that the schema lacks would not be looked into."""
    found = {number: _rootless(schema, document) for number, document in documents}
    rest = {number: document for number, document in documents if not found[number]}
    if len(rest) > 1:
        definitions = tuple(chain.from_iterable(document.definitions for document in rest.values()))
        errors = _validated(schema, DocumentNode(definitions=definitions), most=100 * TOGETHER)
        whose = {id(document.loc.source): number for number, document in rest.items() if document.loc}
        if all(id(error.source) in whose for error in errors):  # else it has given up, for whichever's sake
            for error in errors:
                found[whose[id(error.source)]].append(error.message)
            rest = {}
    for number, document in rest.items():
        found[number] = [error.message for error in _validated(schema, document)]
    return [[message.replace(_apart(number), "") for message in errors] for number, errors in found.items()]


def _validated(schema: GraphQLSchema, document: DocumentNode, most: int = 100) -> list[GraphQLError]:
    try:
        return validate(schema, document, _RULES, max_errors=most)
    except RecursionError:  # of graphql-core 3.2; later ones catch it themselves
        return [GraphQLError(ABORTED)]


def _rootless(schema: GraphQLSchema, document: DocumentNode) -> list[str]:
    return [
        f"The schema has no {node.operation.value} operations."
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and schema.get_root_type(node.operation) is None
    ]


def _names_of_fragments(document: DocumentNode) -> Iterator[NameNode]:
    """Where they are defined, and where they are spread."""
    if not any(isinstance(node, FragmentDefinitionNode) for node in document.definitions):
        return
    pending = [node.selection_set for node in document.definitions if hasattr(node, "selection_set")]
    yield from (node.name for node in document.definitions if isinstance(node, FragmentDefinitionNode))
    while pending:
        for node in pending.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                yield node.name
            elif node.selection_set:
                pending.append(node.selection_set)


def _apart(number: int) -> str:
    return f"__of_document_{number}"
