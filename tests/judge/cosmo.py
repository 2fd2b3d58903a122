"""What a Cosmo router reports of a request, as its captures and its protocol's facts tell.

It inlines fragments, drops what a literal `@skip` or `@include` leaves out, makes variables of
argument values without variables, and fills in the defaults of variables.  Then it lists fields
with the types that can stand there, arguments, and the contents of variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    REMOVE,
    ArgumentNode,
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NonNullTypeNode,
    NullValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    TypeInfo,
    TypeInfoVisitor,
    TypeMetaFieldDef,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_abstract_type,
    parse_type,
    print_ast,
    type_from_ast,
    value_from_ast_untyped,
    visit,
)

from forebay.collector.protocols import cosmo_pb2 as pb
from forebay.collector.protocols.cosmo import Call, Normaliser
from forebay.core.shape import Shape

from .operations import Request, parsed

Aggregated = pb.PublishAggregatedGraphQLRequestMetricsRequest


def shape_of(schema: GraphQLSchema, request: Request) -> Shape:
    """The shape that comes of it through Cosmo's protocol."""
    item = pb.SchemaUsageInfoAggregation(SchemaUsage=usage(schema, request), RequestCount=1)
    body = Aggregated(Aggregation=[item]).SerializeToString()
    (shape,) = Normaliser().batch(Call.AGGREGATED, "proto", body, 1).shapes.values()
    return shape


def usage(schema: GraphQLSchema, request: Request) -> pb.SchemaUsageInfo:
    document, variables = _normalised(schema, request)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    metrics = _Metrics(schema, variables)
    visit(document, TypeInfoVisitor(metrics.types, metrics))
    declared = {node.variable.name.value: node for node in operation.variable_definitions or ()}
    inputs: list[pb.InputUsageInfo] = []
    for name, node in declared.items():
        inputs += _inputs(type_from_ast(schema, node.type), variables.get(name))
    return pb.SchemaUsageInfo(
        RequestDocument=print_ast(document),
        TypeFieldMetrics=metrics.fields,
        ArgumentMetrics=metrics.arguments,
        InputMetrics=inputs,
        OperationInfo=pb.OperationInfo(Hash="1", Name="Q", Type=operation.operation.value.upper()),
        SchemaInfo=pb.SchemaInfo(Version="1"),
        ClientInfo=pb.ClientInfo(Name="web", Version="1"),
        RequestInfo=pb.RequestInfo(StatusCode=200),
    )


def _normalised(schema: GraphQLSchema, request: Request) -> tuple[DocumentNode, dict[str, Any]]:
    document = parsed(request.source, request.operation_name)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    types = TypeInfo(schema)
    extraction = _Extraction(types, dict(request.variables))
    operation = visit(operation, _Inlining(fragments))
    operation = visit(operation, TypeInfoVisitor(types, extraction))
    kept = tuple(extraction.defined(node) for node in operation.variable_definitions or ())
    parts: dict[str, Any] = {key: getattr(operation, key, None) for key in operation.keys}
    operation = OperationDefinitionNode(**parts | {"variable_definitions": (*kept, *extraction.more)})
    return DocumentNode(definitions=(operation,)), extraction.variables


class _Inlining(Visitor):
    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self._fragments = fragments

    def enter(self, node: Any, *_: Any) -> Any:
        if not isinstance(node, FieldNode | InlineFragmentNode | FragmentSpreadNode):
            return None
        kept = []
        for each in node.directives or ():
            given = each.arguments[0].value if each.arguments else None
            if each.name.value in ("skip", "include") and isinstance(given, BooleanValueNode):
                if given.value is (each.name.value == "skip"):
                    return REMOVE
            else:
                kept.append(each)
        if isinstance(node, FragmentSpreadNode):
            inner = self._fragments[node.name.value]
            node = InlineFragmentNode(type_condition=inner.type_condition, selection_set=inner.selection_set)
        return type(node)(**{key: getattr(node, key, None) for key in node.keys} | {"directives": tuple(kept)})


class _Extraction(Visitor):
    def __init__(self, types: TypeInfo, variables: dict[str, Any]) -> None:
        super().__init__()
        self.types = types
        self.variables = variables
        self.more: list[VariableDefinitionNode] = []

    def leave_argument(self, node: Any, *_: Any) -> Any:
        if self.types.get_directive() is not None or _has_variable(node.value):
            return None
        name = f"x{len(self.more)}"
        self.variables[name] = value_from_ast_untyped(node.value)
        variable = VariableNode(name=type(node.name)(value=name))
        type_ = parse_type(str(self.types.get_input_type()))
        self.more.append(VariableDefinitionNode(variable=variable, type=type_, directives=()))
        return ArgumentNode(name=node.name, value=variable)

    def defined(self, node: VariableDefinitionNode) -> VariableDefinitionNode:
        name = node.variable.name.value
        type_: Any = node.type
        if node.default_value is not None:
            self.variables.setdefault(name, value_from_ast_untyped(node.default_value))
            given = self.variables[name] is not None and not isinstance(node.default_value, NullValueNode)
            if given and not isinstance(type_, NonNullTypeNode):
                type_ = NonNullTypeNode(type=type_)
        return VariableDefinitionNode(variable=node.variable, type=type_, directives=node.directives)


class _Metrics(Visitor):
    def __init__(self, schema: GraphQLSchema, variables: dict[str, Any]) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self.fields: list[pb.TypeFieldUsageInfo] = []
        self.arguments: list[pb.ArgumentUsageInfo] = []
        self._schema = schema
        self._variables = variables
        self._path: list[str] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        name = node.name.value
        self._path.append(name)
        parent, definition = self.types.get_parent_type(), self.types.get_field_def()
        assert parent is not None
        assert definition is not None
        names = [parent.name]
        if is_abstract_type(parent):
            names += [each.name for each in self._schema.get_possible_types(parent)]
        named = get_named_type(definition.type).name
        self.fields.append(pb.TypeFieldUsageInfo(Path=self._path, TypeNames=names, NamedType=named))
        if definition in (SchemaMetaFieldDef, TypeMetaFieldDef):
            return
        given = {each.name.value: each.value for each in node.arguments or ()}
        for argument, place in definition.args.items():
            value: Any = given.get(argument)
            is_null = value is None or isinstance(value, NullValueNode)
            if isinstance(value, VariableNode):
                is_null = self._variables.get(value.name.value) is None
            self.arguments.append(
                pb.ArgumentUsageInfo(
                    Path=[name, argument],
                    TypeName=parent.name,
                    NamedType=get_named_type(place.type).name,
                    IsNull=is_null,
                )
            )

    def leave_field(self, *_: Any) -> None:
        self._path.pop()


def _inputs(type_: Any, value: Any, owner: str = "", name: str = "") -> Iterator[pb.InputUsageInfo]:
    """A variable, or a field of an input object: what is in it first, then itself."""
    named = get_named_type(type_)
    path = [owner, name] if owner else [named.name]
    entry = pb.InputUsageInfo(Path=path, TypeName=owner, NamedType=named.name, IsNull=value is None)
    values = _flat(value)
    if isinstance(named, GraphQLEnumType):
        entry.EnumValues.extend(each for each in values if each is not None)
    elif isinstance(named, GraphQLInputObjectType):
        for each in values:
            for inner, place in named.fields.items() if each is not None else ():
                yield from _inputs(place.type, each.get(inner), named.name, inner)
    yield entry
    if isinstance(named, GraphQLInputObjectType) and owner and value is not None:
        yield pb.InputUsageInfo(Path=[named.name], NamedType=named.name)


def _flat(value: Any) -> list[Any]:
    return [inner for each in value for inner in _flat(each)] if isinstance(value, list) else [value]


def _has_variable(node: Any) -> bool:
    found: list[Any] = []

    class Finding(Visitor):
        def enter_variable(self, node: Any, *_: Any) -> None:
            found.append(node)

    visit(node, Finding())
    return bool(found)
