"""Federation: the schema that clients see of a supergraph, and which subgraphs answer each of its fields.  Pure.

A supergraph (join specification 0.1 to 0.5) describes, beside the schema, how its subgraphs make
it up: `@join__field`, `join__Graph`, `@link` and the like.  None of that has a coordinate that an
operation could use, and what is `@inaccessible` is not there for clients.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from graphql import (
    REMOVE,
    ConstDirectiveNode,
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumValueNode,
    Node,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    Visitor,
    print_ast,
    visit,
)

from .coordinate import field

_MACHINERY = ("join__", "link__", "core__")
_DIRECTIVES = ("link", "core", "inaccessible")

Subgraphs = dict[str, tuple[str, ...]]
"""Coordinate of a type or field → names of the subgraphs that have it, in order."""


def is_supergraph(document: DocumentNode) -> bool:
    """Does it say of itself that it was composed of subgraphs?"""
    nodes = (node for node in document.definitions if isinstance(node, SchemaDefinitionNode | SchemaExtensionNode))
    directives = (each for node in nodes for each in node.directives or () if each.name.value in ("link", "core"))
    return any("specs.apollo.dev/join/" in print_ast(each) for each in directives)


def api_schema(document: DocumentNode) -> DocumentNode:
    """What of a supergraph clients see; any other document as it is."""
    return visit(document, _ForClients()) if is_supergraph(document) else document


def subgraphs(document: DocumentNode) -> Subgraphs:
    """Of each type and field of a supergraph; nothing for any other document.

    A field without `@join__field` is in every subgraph of its type.
    """
    if not is_supergraph(document):
        return {}
    names = _names(document)
    found: Subgraphs = {}
    for node in document.definitions:
        if not isinstance(node, TypeDefinitionNode) or node.name.value.startswith(_MACHINERY):
            continue
        owner = node.name.value
        found[owner] = _graphs(node, "join__type", names) or _graphs(node, "join__owner", names)
        for item in getattr(node, "fields", None) or ():
            found[field(owner, item.name.value)] = _graphs(item, "join__field", names) or found[owner]
    return {coordinate: graphs for coordinate, graphs in found.items() if graphs}


class _ForClients(Visitor):
    def enter(self, node: Any, *_: Any) -> Any:
        if isinstance(node, DirectiveNode | ConstDirectiveNode):
            return REMOVE if _is_machinery(node.name.value) else None
        if isinstance(node, DirectiveDefinitionNode):
            return REMOVE if _is_machinery(node.name.value) else None
        if isinstance(node, TypeDefinitionNode) and node.name.value.startswith(_MACHINERY):
            return REMOVE
        hidden = any(each.name.value == "inaccessible" for each in getattr(node, "directives", None) or ())
        return REMOVE if hidden else None


def _is_machinery(directive: str) -> bool:
    return directive in _DIRECTIVES or directive.startswith(_MACHINERY)


def _names(document: DocumentNode) -> dict[str, str]:
    """Value of `join__Graph` → the subgraph's own name."""
    names: dict[str, str] = {}
    for node in document.definitions:
        if isinstance(node, EnumTypeDefinitionNode) and node.name.value == "join__Graph":
            for value in node.values or ():
                given = [_argument(each, "name") for each in value.directives or () if each.name.value == "join__graph"]
                names[value.name.value] = next((text for text in given if text), value.name.value)
    return names


def _graphs(node: Node, directive: str, names: dict[str, str]) -> tuple[str, ...]:
    """Those in which it can be asked for: not where it is only needed by others or has moved away."""
    found: dict[str, None] = {}
    for each in getattr(node, "directives", None) or ():
        graph = _argument(each, "graph") if each.name.value == directive else ""
        if graph and not (_argument(each, "external") or _argument(each, "usedOverridden")):
            found[names.get(graph, graph)] = None
    return tuple(found)


def _argument(directive: Any, name: str) -> str:
    """The argument's text; empty if it is not given, or false."""
    texts: dict[str, str] = defaultdict(str)
    for each in directive.arguments or ():
        value = each.value
        is_text = isinstance(value, StringValueNode | EnumValueNode)
        texts[each.name.value] = value.value if is_text else "true" if getattr(value, "value", False) is True else ""
    return texts[name]
