"""The document that is stored of an operation: only what it reaches, with its literals replaced.

A literal may hold anything a user typed, so each is replaced by a neutral one of the same kind:
`0`, `0.0`, `""`.  What validation looks at is kept: enum values, booleans, nulls, lists and the
keys of input objects.  So the stored document of a valid operation is valid, against this
schema and any later one, whenever the original is.  (The reverse has two exceptions, both of
originals that are invalid: values that are out of their scalar's range, and fields that differ
in a literal and cannot be merged.  Whoever stores the document notes the original's validity.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import (
    BooleanValueNode,
    DocumentNode,
    EnumValueNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    NameNode,
    Node,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    print_ast,
    visit,
)

Fragments = dict[str, FragmentDefinitionNode]

_NEUTRAL: dict[type[Node], ValueNode] = {
    IntValueNode: IntValueNode(value="0"),
    FloatValueNode: FloatValueNode(value="0.0"),
    StringValueNode: StringValueNode(value="", block=False),
}
_OPAQUE_ENUM = EnumValueNode(value="_")


def choose(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """The operation that a request runs, or None where none or several answer to `name`.

    Source: GraphQL specification, GetOperation().  An empty name counts as none, as many servers take it.
    """
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name:
        operations = [node for node in operations if node.name and node.name.value == name]
    return operations[0] if len(operations) == 1 else None


def reach(operation: OperationDefinitionNode, document: DocumentNode) -> Fragments:
    """The fragments that the operation spreads, directly or through others, by name in alphabetical order."""
    defined = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    reached: Fragments = {}
    pending: list[SelectionSetNode] = [operation.selection_set]
    while pending:
        for selection in pending.pop().selections:
            if not isinstance(selection, FragmentSpreadNode):
                inner = getattr(selection, "selection_set", None)
            elif (name := selection.name.value) in defined and name not in reached:
                reached[name] = defined[name]
                inner = reached[name].selection_set
            else:
                inner = None
            if inner is not None:
                pending.append(inner)
    return {name: reached[name] for name in sorted(reached)}


def neutral_text(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> str:
    """The operation and its fragments as text, literals replaced and descriptions left out."""
    document = DocumentNode(definitions=(operation, *fragments.values()))
    types = TypeInfo(schema)
    return print_ast(visit(document, TypeInfoVisitor(types, _Neutraliser(types))))


def neutral(node: ValueNode, type_: GraphQLInputType | None) -> ValueNode:
    """The literal with every value in it replaced; `type_` None where the schema doesn't know the place.

    Equal elements of a list become one: a list is valid when each element is.  In a custom
    scalar keys and names are user data too, so they are replaced; its variables stay in use.
    """
    if isinstance(node, VariableNode | NullValueNode | BooleanValueNode):
        return node
    if isinstance(node, ListValueNode):
        nullable = get_nullable_type(type_)
        element = nullable.of_type if is_list_type(nullable) else None
        return ListValueNode(values=_unique(neutral(value, element) for value in node.values))
    named = get_named_type(type_)
    if isinstance(node, EnumValueNode):
        return node if is_enum_type(named) else _OPAQUE_ENUM
    if not isinstance(node, ObjectValueNode):
        return _NEUTRAL[type(node)]
    if is_input_object_type(named):
        types = {name: field.type for name, field in named.fields.items()}
        pairs = [(field.name, neutral(field.value, types.get(field.name.value))) for field in node.fields]
    else:
        values = _unique(neutral(field.value, None) for field in node.fields)
        pairs = [(NameNode(value=f"k{number}"), value) for number, value in enumerate(values)]
    return ObjectValueNode(fields=tuple(ObjectFieldNode(name=name, value=value) for name, value in pairs))


class _Neutraliser(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self._labels: dict[str, str] = {}

    def leave_argument(self, node: Any, *_: Any) -> Node:
        directive = self._types.get_directive()
        value = node.value
        if directive and directive.name in ("defer", "stream") and isinstance(value, StringValueNode):
            # Labels have to differ from each other, so they are numbered.
            label = self._labels.setdefault(value.value, str(len(self._labels)))
            return _changed(node, value=StringValueNode(value=label, block=False))
        return _changed(node, value=neutral(value, self._types.get_input_type()))

    def leave_variable_definition(self, node: Any, *_: Any) -> Node:
        default = node.default_value
        if default is not None:
            default = neutral(default, self._types.get_input_type())
        return _changed(node, default_value=default, description=None)

    def leave_operation_definition(self, node: Any, *_: Any) -> Node:
        return _changed(node, description=None)

    def leave_fragment_definition(self, node: Any, *_: Any) -> Node:
        return _changed(node, description=None)


def _changed(node: Node, **changes: Any) -> Node:
    """A copy with other attributes; those that this version of graphql-core doesn't know are ignored."""
    return type(node)(**{key: changes.get(key, getattr(node, key, None)) for key in node.keys})


def _unique(nodes: Iterable[ValueNode]) -> tuple[ValueNode, ...]:
    return tuple(dict.fromkeys(nodes))
