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
    NamedTypeNode,
    Node,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    Visitor,
    print_ast,
    visit,
)

from .coordinate import field

_MACHINERY = ("join__", "link__", "core__")

Subgraphs = dict[str, tuple[str, ...]]
"""Coordinate of a type or field → names of the subgraphs that have it, in order."""


def is_supergraph(document: DocumentNode) -> bool:
    """Does it say of itself that it was composed of subgraphs?"""
    return bool(_links(document, "join"))


def links(document: DocumentNode) -> bool:
    """Does it import directives from other specifications?  Those it need not define."""
    return bool(_links(document))


def api_schema(document: DocumentNode) -> DocumentNode:
    """What of a supergraph clients see; any other document as it is."""
    return visit(document, _ForClients(document)) if is_supergraph(document) else document


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
    """Of a type that clients do not see, its extensions and its places in unions and among interfaces go too."""

    def __init__(self, document: DocumentNode) -> None:
        super().__init__()
        self._inaccessible = _inaccessible(document)
        types = (node for node in document.definitions if isinstance(node, TypeDefinitionNode | TypeExtensionNode))
        self._types = {node.name.value for node in types if self._is_hidden(node)}

    def enter(self, node: Any, _: Any, parent: Any, *__: Any) -> Any:
        if isinstance(node, DirectiveNode | ConstDirectiveNode | DirectiveDefinitionNode):
            name = node.name.value
            machinery = name in ("link", "core") or name in self._inaccessible or name.startswith(_MACHINERY)
            return REMOVE if machinery else None
        if isinstance(node, NamedTypeNode):
            return REMOVE if isinstance(parent, tuple | list) and node.name.value in self._types else None
        if isinstance(node, TypeDefinitionNode | TypeExtensionNode):
            name = node.name.value
            return REMOVE if name in self._types or name.startswith(_MACHINERY) else None
        return REMOVE if self._is_hidden(node) else None

    def _is_hidden(self, node: Any) -> bool:
        return any(each.name.value in self._inaccessible for each in getattr(node, "directives", None) or ())


def _links(document: DocumentNode, specification: str = "") -> list[Any]:
    """The directives by which the schema says that it follows others, or one of federation's specifications."""
    nodes = (node for node in document.definitions if isinstance(node, SchemaDefinitionNode | SchemaExtensionNode))
    directives = (each for node in nodes for each in node.directives or () if each.name.value in ("link", "core"))
    return [each for each in directives if not specification or f"specs.apollo.dev/{specification}/" in print_ast(each)]


def _inaccessible(document: DocumentNode) -> set[str]:
    """The names of `@inaccessible`, which a link can rename: `as: "private"`, or one of its imports."""
    names = {"inaccessible"}
    for link in _links(document, "inaccessible"):
        names.add(_argument(link, "as") or "inaccessible")
        given = next((each.value for each in link.arguments or () if each.name.value == "import"), None)
        for imported in getattr(given, "values", ()):
            for item in getattr(imported, "fields", ()):
                if item.name.value == "as":
                    names.add(str(getattr(item.value, "value", "")).removeprefix("@"))
    return names


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
