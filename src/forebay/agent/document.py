"""The document that is stored of an operation: only what it reaches, with its literals replaced.

A literal may hold anything a user typed, so each is replaced by a neutral one of the same kind:
`0`, `0.0`, `""`.  What validation looks at is kept: the schema's enum values, booleans, nulls, lists and
the keys of input objects.  So the stored document of a valid operation is valid, against this
schema and any later one, whenever the original is.  (The reverse has two exceptions, both of
originals that are invalid: values that are out of their scalar's range, and fields that differ
in a literal and cannot be merged.  Whoever stores the document notes the original's validity.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from graphql import (
    BooleanValueNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NameNode,
    Node,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    StringValueNode,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_input_type,
    is_list_type,
    print_ast,
    type_from_ast,
)

Fragments = dict[str, FragmentDefinitionNode]

META: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef, "__typename": TypeNameMetaFieldDef}
"""Fields that every schema has without defining them."""

Concrete = frozenset[GraphQLObjectType]
"""The object types that can stand at a place."""

_NEUTRAL: dict[type[Node], ValueNode] = {
    IntValueNode: IntValueNode(value="0"),
    FloatValueNode: FloatValueNode(value="0.0"),
    StringValueNode: StringValueNode(value="", block=False),
}
_OPAQUE_ENUM = EnumValueNode(value="_")


def possible(schema: GraphQLSchema, type_: GraphQLNamedType) -> Concrete:
    """The object types that a type stands for; none for what is no type of an output object."""
    if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
        return frozenset(schema.get_possible_types(type_))
    return frozenset({type_}) if isinstance(type_, GraphQLObjectType) else frozenset()


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
    neutraliser = _Neutraliser(schema)
    definitions = tuple(neutraliser.definition(each) for each in (operation, *fragments.values()))
    return print_ast(DocumentNode(definitions=definitions))


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
        return node if is_enum_type(named) and node.value in named.values else _OPAQUE_ENUM
    if not isinstance(node, ObjectValueNode):
        return _NEUTRAL[type(node)]
    if is_input_object_type(named):
        types = {name: field.type for name, field in named.fields.items()}
        pairs = [(field.name, neutral(field.value, types.get(field.name.value))) for field in node.fields]
    else:
        values = _unique(neutral(field.value, None) for field in node.fields)
        pairs = [(NameNode(value=f"k{number}"), value) for number, value in enumerate(values)]
    return ObjectValueNode(fields=tuple(ObjectFieldNode(name=name, value=value) for name, value in pairs))


class _Neutraliser:
    """Copies definitions, with the type of each place at hand as far as the schema knows it; not by graphql-core's
    visitors, which take three times as long."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._labels: dict[str, str] = {}

    def definition(self, node: Any) -> Any:
        """Of an operation or fragment."""
        if isinstance(node, FragmentDefinitionNode):
            parent = self._schema.get_type(node.type_condition.name.value)
        else:
            parent = self._schema.get_root_type(node.operation)
        return _changed(
            node,
            description=None,
            variable_definitions=tuple(map(self._variable, getattr(node, "variable_definitions", None) or ())),
            directives=self._directives(node.directives),
            selection_set=self._selections(node.selection_set, parent),
        )

    def _variable(self, node: Any) -> Node:
        default = node.default_value
        if default is not None:
            type_ = type_from_ast(self._schema, node.type)
            default = neutral(default, type_ if is_input_type(type_) else None)
        return _changed(node, default_value=default, directives=self._directives(node.directives), description=None)

    def _selections(self, node: SelectionSetNode, parent: Any) -> SelectionSetNode:
        return SelectionSetNode(selections=tuple(self._selection(each, parent) for each in node.selections))

    def _selection(self, node: Any, parent: Any) -> Any:
        if not isinstance(node, FieldNode):
            changes: dict[str, Any] = {"directives": self._directives(node.directives)}
            if isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                changes["selection_set"] = self._selections(node.selection_set, inner)
            return _changed(node, **changes)
        if not (node.arguments or node.directives or node.selection_set):
            return node
        name = node.name.value
        definition = META.get(name) or getattr(parent, "fields", {}).get(name)
        below = get_named_type(definition.type) if definition else None
        return _changed(
            node,
            arguments=self._arguments(node.arguments, definition),
            directives=self._directives(node.directives),
            selection_set=self._selections(node.selection_set, below) if node.selection_set else None,
        )

    def _arguments(self, nodes: Iterable[Any] | None, definition: Any) -> tuple[Node, ...]:
        places = definition.args if definition else {}
        types = {name: place.type for name, place in places.items()}
        return tuple(_changed(node, value=neutral(node.value, types.get(node.name.value))) for node in nodes or ())

    def _directives(self, nodes: Iterable[Any] | None) -> tuple[Node, ...]:
        return tuple(self._directive(node) for node in nodes or ())

    def _directive(self, node: Any) -> Node:
        name = node.name.value
        arguments = self._arguments(node.arguments, self._schema.get_directive(name))
        if name in ("defer", "stream"):
            arguments = tuple(map(self._labelled, arguments, node.arguments or ()))
        return _changed(node, arguments=arguments)

    def _labelled(self, node: Any, original: Any) -> Node:
        """Labels have to differ from each other, so they are numbered."""
        if not isinstance(original.value, StringValueNode):
            return cast(Node, node)
        label = self._labels.setdefault(original.value.value, str(len(self._labels)))
        return _changed(node, value=StringValueNode(value=label, block=False))


def _changed(node: Node, **changes: Any) -> Node:
    """A copy with other attributes; those that this version of graphql-core doesn't know are ignored."""
    return type(node)(**{key: changes.get(key, getattr(node, key, None)) for key in node.keys})


def _unique(nodes: Iterable[ValueNode]) -> tuple[ValueNode, ...]:
    return tuple(dict.fromkeys(nodes))
