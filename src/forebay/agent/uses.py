"""What a valid operation uses of its schema, whatever its variables hold.

The principle: an element is used if taking it out would make the document, its variables or
their coercion invalid.  The rules that follow from it are numbered as in docs/extraction.md;
the specification's sections are "Fragment Spread Is Possible" for the narrowing of types and
CoerceArgumentValues() for the states of arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from graphql import (
    DirectiveNode,
    EnumValueNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    type_from_ast,
)

from ..core.coordinate import Entry, Kind, State, argument, field
from ..core.shape import unique_entries
from .document import META, Concrete, Fragments, possible
from .inputs import ABSENT, GIVEN, NULL, Plan, Variable, plan_of, provided, type_entries

MAX_SELECTIONS: Final = 10_000
"""Selections looked at in one operation, a fragment once per set of types that it stands on."""

MAX_FIELDS: Final = 50_000
"""Fields recorded for one operation, one selection on an interface making one per object type."""

_FEDERATION: Final = {"_entities": "_Entity", "_service": "_Service"}


class TooLarge(Exception):
    """The operation passes MAX_SELECTIONS or MAX_FIELDS."""


class Uses:
    """Collects `entries`, and in `places` where each nullable variable stands."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> None:
        self.entries: list[Entry] = []
        self.places: dict[str, list[Entry]] = {}
        self._schema = schema
        self._fragments = fragments
        self._definitions = {node.variable.name.value: node for node in operation.variable_definitions or ()}
        self._selections = self._fields = 0
        self._recorded: set[tuple[str, str, Concrete]] = set()
        self._root = schema.get_root_type(operation.operation)
        for definition in self._definitions.values():
            self._variable_definition(definition)
        self._directives(operation.directives)
        if self._root is not None:
            self._walk(operation.selection_set, self._root)

    def variables(self, plans: dict[str, Plan]) -> tuple[Variable, ...]:
        """The variables that decide about the shape: by their own state, or by their contents."""
        variables = []
        for name, definition in self._definitions.items():
            places = unique_entries(self.places.get(name, ()))
            plan = plan_of(self._type_of(definition), plans)
            if places or plan:
                default = _state_of(definition.default_value)
                null, absent = (NULL, default) if places else (GIVEN, GIVEN)
                variables.append(Variable(name, null, absent, plan, places))
        return tuple(variables)

    def _walk(self, selection_set: SelectionSetNode, root: GraphQLObjectType) -> None:
        spread: set[tuple[str, Concrete]] = set()
        pending: list[tuple[SelectionSetNode, Any, Concrete]] = [(selection_set, root, frozenset({root}))]
        while pending:
            selections, parent, concrete = pending.pop()
            self._selections += len(selections.selections)
            if self._selections > MAX_SELECTIONS:
                raise TooLarge
            for node in selections.selections:
                self._directives(node.directives)
                if isinstance(node, FieldNode):
                    inner = self._field(node, parent, concrete)
                    if node.selection_set:
                        pending.append((node.selection_set, *inner))
                    continue
                fragment: Any = node
                if isinstance(node, FragmentSpreadNode):
                    if (node.name.value, concrete) in spread:
                        continue
                    spread.add((node.name.value, concrete))
                    fragment = self._fragments[node.name.value]
                    self._directives(fragment.directives)
                pending.append((fragment.selection_set, *self._narrowed(fragment.type_condition, parent, concrete)))

    def _narrowed(self, condition: Any, parent: Any, concrete: Concrete) -> tuple[Any, Concrete]:
        """Rules 2 and 3: the nearest type condition is the parent; nested conditions intersect."""
        if condition is None:
            return parent, concrete
        parent = self._schema.type_map[condition.name.value]
        self.entries += type_entries(parent.name)
        return parent, concrete & possible(self._schema, parent)

    def _field(self, node: FieldNode, parent: Any, concrete: Concrete) -> tuple[GraphQLNamedType, Concrete]:
        """Rule 1: the field counts on its parent, and on every object type that can stand there.

        Returns the type of the field, and the object types that can stand below it.
        """
        name = node.name.value
        meta = META.get(name)
        definition: GraphQLField = meta or parent.fields[name]
        type_ = get_named_type(definition.type)
        owners = [owner for owner in concrete if name in owner.fields]
        given = {item.name.value: item.value for item in node.arguments or ()}
        key = (parent.name, name, concrete)
        if self._is_use(parent, name, type_) and (given or key not in self._recorded):
            if not given:
                self._recorded.add(key)  # selected again without arguments, it adds nothing
            self._record(parent, name, definition, given)
            for owner in owners:
                if owner is not parent:
                    self._record(owner, name, owner.fields[name], given, validated=False)
        if is_leaf_type(type_):
            return type_, frozenset()
        if meta:
            return type_, possible(self._schema, type_)
        below = {get_named_type(owner.fields[name].type) for owner in owners}
        return type_, frozenset().union(*(possible(self._schema, each) for each in below))

    def _is_use(self, parent: GraphQLNamedType, name: str, type_: GraphQLNamedType) -> bool:
        """Rule 5: introspection and what is below it are not schema use, nor are federation's own fields."""
        if name.startswith("__") or parent.name.startswith("__") or parent.name == "_Service":
            return False
        return not (parent is self._root and _FEDERATION.get(name) == type_.name)

    def _record(
        self, owner: Any, name: str, definition: GraphQLField, given: Mapping[str, ValueNode], validated: bool = True
    ) -> None:
        """Rule 6: one field and every argument that the schema defines on it."""
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise TooLarge
        named = get_named_type(definition.type)
        self.entries.append(Entry(Kind.FIELD, field(owner.name, name), named.name))
        self.entries += type_entries(owner.name, named.name)
        for argument_name, place in definition.args.items():
            coordinate = argument(owner.name, name, argument_name)
            self._place(Kind.ARGUMENT, coordinate, place, given.get(argument_name), validated)

    def _directives(self, nodes: Iterable[DirectiveNode] | None) -> None:
        """Rules 4 and 12: a directive and its arguments are used wherever the document has it."""
        for node in nodes or ():
            definition = self._schema.get_directive(node.name.value)
            if definition is None or _is_specified(definition):
                continue
            name = f"@{definition.name}"
            self.entries.append(Entry(Kind.DIRECTIVE, name))
            given = {item.name.value: item.value for item in node.arguments or ()}
            for argument_name, place in definition.args.items():
                self._place(Kind.ARGUMENT, f"{name}({argument_name}:)", place, given.get(argument_name))

    def _variable_definition(self, node: VariableDefinitionNode) -> None:
        """Rule 12: the default counts even where a value overrides it."""
        type_ = self._type_of(node)
        self.entries += type_entries(type_.name)
        self._directives(node.directives)
        if node.default_value is not None:
            self._literal(node.default_value, type_)

    def _place(
        self,
        kind: Kind,
        coordinate: str,
        place: GraphQLArgument | GraphQLInputField,
        node: ValueNode | None,
        validated: bool = True,
    ) -> None:
        """One argument or input field, in the state that `node` gives it.

        Not `validated`: the argument of an object type, where the document selects the field on
        an interface.  Validation looks at the interface's argument only (rule 13), and what is
        inside the literal is recorded there already.
        """
        type_ = get_named_type(place.type)
        if node is not None:
            self.entries += provided(type_)
        if not isinstance(node, VariableNode):
            self.entries.append(Entry(kind, coordinate, type_.name, State(_state_of(node))))
            if node is not None and validated:
                self._literal(node, type_)
            return
        definition = self._definitions[node.name.value]
        if isinstance(type_from_ast(self._schema, definition.type), GraphQLNonNull):
            self.entries.append(Entry(kind, coordinate, type_.name, State.GIVEN))
            return
        required = validated and _state_of(definition.default_value) != GIVEN
        entry = Entry(kind, coordinate, type_.name, State.NULLABLE_VARIABLE if required else State.NONE)
        self.places.setdefault(node.name.value, []).append(entry)

    def _literal(self, node: ValueNode, type_: GraphQLNamedType) -> None:
        """Rules 8 to 11: enum values and input objects in a literal of a type or of lists of it."""
        if isinstance(node, ListValueNode):
            for value in node.values:
                self._literal(value, type_)
        elif isinstance(type_, GraphQLEnumType) and isinstance(node, EnumValueNode):
            if node.value not in type_.values:
                raise LookupError  # not as valid as its host says
            self.entries.append(Entry(Kind.ENUM_VALUE, field(type_.name, node.value)))
        elif isinstance(type_, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
            self.entries += type_entries(type_.name)
            given = {item.name.value: item.value for item in node.fields}
            for name, place in type_.fields.items():
                self._place(Kind.INPUT, field(type_.name, name), place, given.get(name))

    def _type_of(self, node: VariableDefinitionNode) -> GraphQLNamedType:
        type_: GraphQLNamedType = get_named_type(cast(GraphQLInputType, type_from_ast(self._schema, node.type)))
        return type_


def _is_specified(directive: GraphQLDirective) -> bool:
    """@skip and @include as every schema has them, with one argument that nobody can change."""
    return directive.name in ("skip", "include") and [*directive.args] == ["if"]


def _state_of(literal: ValueNode | None) -> int:
    """The state of a place with this literal, and of a variable with this default when it is absent."""
    if literal is None:
        return ABSENT
    return NULL if isinstance(literal, NullValueNode) else GIVEN
