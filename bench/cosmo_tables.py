"""Tables equivalent to those that Cosmo keeps schema usage in, written after a description of them.

One row per field of each reported operation goes into a table that keeps nothing; two views
make a 5-minute and a daily table of it.  Two more tables hold operations and request counts.
"""

from __future__ import annotations

LOW = "LowCardinality(String)"
DIMENSIONS = {
    "OrganizationID": LOW,
    "FederatedGraphID": LOW,
    "RouterConfigVersion": LOW,
    "OperationHash": LOW,
    "OperationName": LOW,
    "OperationType": LOW,
    "Path": "Array(String)",
    "TypeNames": "Array(String)",
    "NamedType": "String",
    "ClientName": LOW,
    "ClientVersion": LOW,
    "SubgraphIDs": f"Array({LOW})",
    "IsArgument": "Bool",
    "IsInput": "Bool",
    "IsIndirectFieldUsage": "Bool",
    "IsNull": "Bool",
}
USAGE = {
    "Timestamp": "DateTime('UTC')",
    **DIMENSIONS,
    "Count": "UInt64",
    "HttpStatusCode": "String",
    "HasError": "Bool",
    "Attributes": f"Map({LOW}, String)",
}
OPERATIONS = {
    "Timestamp": "DateTime('UTC')",
    "OperationName": LOW,
    "OperationHash": LOW,
    "OperationType": LOW,
    "OperationContent": "String",
    "OrganizationID": LOW,
    "FederatedGraphID": LOW,
}
REQUESTS = {
    "Timestamp": "DateTime('UTC')",
    "OrganizationID": LOW,
    "FederatedGraphID": LOW,
    "RequestCount": "UInt64",
}

_TOTALS = {"TotalUsages": "UInt64", "TotalErrors": "UInt64", "TotalClientErrors": "UInt64"}
_FIELD = {"FieldName": LOW}
_KEY = """ClientName, ClientVersion, RouterConfigVersion, OperationHash, Path, FieldName, NamedType, TypeNames,
  SubgraphIDs, IsArgument, IsInput, toUnixTimestamp(Timestamp)"""
_BLOOM = """
  INDEX operation_hash OperationHash TYPE bloom_filter(0.001) GRANULARITY 1,
  INDEX path Path TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX subgraphs SubgraphIDs TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX types TypeNames TYPE bloom_filter(0.01) GRANULARITY 1"""
_MINMAX = "".join(f",\n  INDEX {name} {name} TYPE minmax GRANULARITY 1" for name in _TOTALS)
_DAYS = "PARTITION BY toDate(Timestamp)"
_EXPIRES = "TTL toDate(Timestamp) + INTERVAL 90 DAY SETTINGS ttl_only_drop_parts = 1"
_FAILED = "HasError OR match(HttpStatusCode, '^[45]')"


def _columns(columns: dict[str, str]) -> str:
    codec = {name: "CODEC(Delta, ZSTD(3))" if name == "Timestamp" else "CODEC(ZSTD(3))" for name in columns}
    return ",\n  ".join(f"{name} {type_} {codec[name]}" for name, type_ in columns.items())


_NAMES = ", ".join(DIMENSIONS)
_ROLLED = {"Timestamp": "DateTime('UTC')", **DIMENSIONS, **_FIELD}

TABLES = (
    f"CREATE TABLE usage ({_columns(USAGE)}) ENGINE = Null",
    f"""CREATE TABLE usage_5m ({_columns(_ROLLED | _TOTALS)},{_BLOOM}{_MINMAX}) ENGINE = SummingMergeTree {_DAYS}
    ORDER BY (OrganizationID, FederatedGraphID, {_KEY}) {_EXPIRES}""",
    f"""CREATE TABLE usage_1d ({_columns(_ROLLED)},{_BLOOM}) ENGINE = ReplacingMergeTree(Timestamp) {_DAYS}
    ORDER BY (FederatedGraphID, OrganizationID, {_KEY}) {_EXPIRES}""",
    f"""CREATE TABLE operations ({_columns(OPERATIONS)}) ENGINE = ReplacingMergeTree(Timestamp)
    ORDER BY (FederatedGraphID, OrganizationID, OperationHash, OperationName, OperationType)
    SETTINGS index_granularity = 512""",
    f"""CREATE TABLE requests ({_columns(REQUESTS)}) ENGINE = SummingMergeTree {_DAYS}
    ORDER BY (FederatedGraphID, OrganizationID, Timestamp)""",
    f"""CREATE MATERIALIZED VIEW usage_5m_view TO usage_5m AS
    SELECT toStartOfFiveMinutes(usage.Timestamp) AS Timestamp, {_NAMES}, Path[-1] AS FieldName,
      sum(Count) AS TotalUsages, sumIf(Count, {_FAILED}) AS TotalErrors,
      sumIf(Count, startsWith(HttpStatusCode, '4')) AS TotalClientErrors
    FROM usage GROUP BY Timestamp, FieldName, {_NAMES}""",
    f"""CREATE MATERIALIZED VIEW usage_1d_view TO usage_1d AS
    SELECT toStartOfDay(usage.Timestamp) AS Timestamp, {_NAMES}, Path[-1] AS FieldName
    FROM usage GROUP BY Timestamp, FieldName, {_NAMES}""",
)

CLIENTS_OF_FIELD = """
SELECT ClientName, ClientVersion, OperationHash, OperationName, sum(TotalUsages) AS usages, sum(TotalErrors) AS errors,
  min(Timestamp) AS first_seen, max(Timestamp) AS last_seen
FROM usage_5m
WHERE OrganizationID = {org:String} AND FederatedGraphID = {graph:String}
  AND Timestamp >= toDateTime({since:Int64}, 'UTC') AND Timestamp < toDateTime({until:Int64}, 'UTC')
  AND has(TypeNames, {type:String}) AND FieldName = {field:String}
GROUP BY ClientName, ClientVersion, OperationHash, OperationName ORDER BY usages DESC
"""
