from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY: _ClassVar[OperationType]
    MUTATION: _ClassVar[OperationType]
    SUBSCRIPTION: _ClassVar[OperationType]
QUERY: OperationType
MUTATION: OperationType
SUBSCRIPTION: OperationType

class PublishAggregatedGraphQLRequestMetricsRequest(_message.Message):
    __slots__ = ("Aggregation",)
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    Aggregation: _containers.RepeatedCompositeFieldContainer[SchemaUsageInfoAggregation]
    def __init__(self, Aggregation: _Optional[_Iterable[_Union[SchemaUsageInfoAggregation, _Mapping]]] = ...) -> None: ...

class PublishGraphQLRequestMetricsRequest(_message.Message):
    __slots__ = ("SchemaUsage",)
    SCHEMAUSAGE_FIELD_NUMBER: _ClassVar[int]
    SchemaUsage: _containers.RepeatedCompositeFieldContainer[SchemaUsageInfo]
    def __init__(self, SchemaUsage: _Optional[_Iterable[_Union[SchemaUsageInfo, _Mapping]]] = ...) -> None: ...

class SchemaUsageInfoAggregation(_message.Message):
    __slots__ = ("SchemaUsage", "RequestCount")
    SCHEMAUSAGE_FIELD_NUMBER: _ClassVar[int]
    REQUESTCOUNT_FIELD_NUMBER: _ClassVar[int]
    SchemaUsage: SchemaUsageInfo
    RequestCount: int
    def __init__(self, SchemaUsage: _Optional[_Union[SchemaUsageInfo, _Mapping]] = ..., RequestCount: _Optional[int] = ...) -> None: ...

class SchemaUsageInfo(_message.Message):
    __slots__ = ("RequestDocument", "TypeFieldMetrics", "OperationInfo", "SchemaInfo", "ClientInfo", "RequestInfo", "Attributes", "ArgumentMetrics", "InputMetrics")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUESTDOCUMENT_FIELD_NUMBER: _ClassVar[int]
    TYPEFIELDMETRICS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONINFO_FIELD_NUMBER: _ClassVar[int]
    SCHEMAINFO_FIELD_NUMBER: _ClassVar[int]
    CLIENTINFO_FIELD_NUMBER: _ClassVar[int]
    REQUESTINFO_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTMETRICS_FIELD_NUMBER: _ClassVar[int]
    INPUTMETRICS_FIELD_NUMBER: _ClassVar[int]
    RequestDocument: str
    TypeFieldMetrics: _containers.RepeatedCompositeFieldContainer[TypeFieldUsageInfo]
    OperationInfo: OperationInfo
    SchemaInfo: SchemaInfo
    ClientInfo: ClientInfo
    RequestInfo: RequestInfo
    Attributes: _containers.ScalarMap[str, str]
    ArgumentMetrics: _containers.RepeatedCompositeFieldContainer[ArgumentUsageInfo]
    InputMetrics: _containers.RepeatedCompositeFieldContainer[InputUsageInfo]
    def __init__(self, RequestDocument: _Optional[str] = ..., TypeFieldMetrics: _Optional[_Iterable[_Union[TypeFieldUsageInfo, _Mapping]]] = ..., OperationInfo: _Optional[_Union[OperationInfo, _Mapping]] = ..., SchemaInfo: _Optional[_Union[SchemaInfo, _Mapping]] = ..., ClientInfo: _Optional[_Union[ClientInfo, _Mapping]] = ..., RequestInfo: _Optional[_Union[RequestInfo, _Mapping]] = ..., Attributes: _Optional[_Mapping[str, str]] = ..., ArgumentMetrics: _Optional[_Iterable[_Union[ArgumentUsageInfo, _Mapping]]] = ..., InputMetrics: _Optional[_Iterable[_Union[InputUsageInfo, _Mapping]]] = ...) -> None: ...

class OperationInfo(_message.Message):
    __slots__ = ("Hash", "Name", "Type")
    HASH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    Hash: str
    Name: str
    Type: OperationType
    def __init__(self, Hash: _Optional[str] = ..., Name: _Optional[str] = ..., Type: _Optional[_Union[OperationType, str]] = ...) -> None: ...

class SchemaInfo(_message.Message):
    __slots__ = ("Version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    Version: str
    def __init__(self, Version: _Optional[str] = ...) -> None: ...

class ClientInfo(_message.Message):
    __slots__ = ("Name", "Version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    Name: str
    Version: str
    def __init__(self, Name: _Optional[str] = ..., Version: _Optional[str] = ...) -> None: ...

class RequestInfo(_message.Message):
    __slots__ = ("StatusCode", "error")
    STATUSCODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    StatusCode: int
    error: bool
    def __init__(self, StatusCode: _Optional[int] = ..., error: _Optional[bool] = ...) -> None: ...

class TypeFieldUsageInfo(_message.Message):
    __slots__ = ("Path", "TypeNames", "SubgraphIDs", "Count", "NamedType", "IndirectInterfaceField")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TYPENAMES_FIELD_NUMBER: _ClassVar[int]
    SUBGRAPHIDS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NAMEDTYPE_FIELD_NUMBER: _ClassVar[int]
    INDIRECTINTERFACEFIELD_FIELD_NUMBER: _ClassVar[int]
    Path: _containers.RepeatedScalarFieldContainer[str]
    TypeNames: _containers.RepeatedScalarFieldContainer[str]
    SubgraphIDs: _containers.RepeatedScalarFieldContainer[str]
    Count: int
    NamedType: str
    IndirectInterfaceField: bool
    def __init__(self, Path: _Optional[_Iterable[str]] = ..., TypeNames: _Optional[_Iterable[str]] = ..., SubgraphIDs: _Optional[_Iterable[str]] = ..., Count: _Optional[int] = ..., NamedType: _Optional[str] = ..., IndirectInterfaceField: _Optional[bool] = ...) -> None: ...

class ArgumentUsageInfo(_message.Message):
    __slots__ = ("Path", "TypeName", "Count", "NamedType", "SubgraphIDs", "IsNull")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TYPENAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NAMEDTYPE_FIELD_NUMBER: _ClassVar[int]
    SUBGRAPHIDS_FIELD_NUMBER: _ClassVar[int]
    ISNULL_FIELD_NUMBER: _ClassVar[int]
    Path: _containers.RepeatedScalarFieldContainer[str]
    TypeName: str
    Count: int
    NamedType: str
    SubgraphIDs: _containers.RepeatedScalarFieldContainer[str]
    IsNull: bool
    def __init__(self, Path: _Optional[_Iterable[str]] = ..., TypeName: _Optional[str] = ..., Count: _Optional[int] = ..., NamedType: _Optional[str] = ..., SubgraphIDs: _Optional[_Iterable[str]] = ..., IsNull: _Optional[bool] = ...) -> None: ...

class InputUsageInfo(_message.Message):
    __slots__ = ("Path", "TypeName", "Count", "NamedType", "EnumValues", "SubgraphIDs", "IsNull")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TYPENAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NAMEDTYPE_FIELD_NUMBER: _ClassVar[int]
    ENUMVALUES_FIELD_NUMBER: _ClassVar[int]
    SUBGRAPHIDS_FIELD_NUMBER: _ClassVar[int]
    ISNULL_FIELD_NUMBER: _ClassVar[int]
    Path: _containers.RepeatedScalarFieldContainer[str]
    TypeName: str
    Count: int
    NamedType: str
    EnumValues: _containers.RepeatedScalarFieldContainer[str]
    SubgraphIDs: _containers.RepeatedScalarFieldContainer[str]
    IsNull: bool
    def __init__(self, Path: _Optional[_Iterable[str]] = ..., TypeName: _Optional[str] = ..., Count: _Optional[int] = ..., NamedType: _Optional[str] = ..., EnumValues: _Optional[_Iterable[str]] = ..., SubgraphIDs: _Optional[_Iterable[str]] = ..., IsNull: _Optional[bool] = ...) -> None: ...
