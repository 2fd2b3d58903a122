"""The landing tables: where every block goes in, and from where the views fan it out.

One takes reports, another what reports name: shapes and schemas.  A row is a journal record as
it is (its `record` says which kind), or one of the loader's own `range` rows, which say what
became of a range of offsets.  The third takes of the reports what few of them have, executions: so that
those without cost no insert the work of one more view.  Other pullers (ClickPipes, Kafka Connect, ClickHouse's Kafka
engine) insert plain records and have no ledger.
"""

from __future__ import annotations

_TALLY = {
    "minute": "Array(UInt32)",
    "schema_version": "Array(String)",
    "shape": "Array(String)",
    "client": "Array(String)",
    "client_version": "Array(String)",
    "status": "Array(UInt16)",
    "requests": "Array(UInt64)",
    "errors": "Array(UInt64)",
    "duration": "Array(Map(UInt16, UInt64))",
}
_EXECUTION = {
    "minute": "Array(UInt32)",
    "shape": "Array(String)",
    "coordinate": "Array(String)",
    "client": "Array(String)",
    "client_version": "Array(String)",
    "requests": "Array(UInt64)",
    "errors": "Array(UInt64)",
    "executions": "Array(UInt64)",
    "sampled": "Array(UInt64)",
    "failed": "Array(UInt64)",
    "duration": "Array(Map(UInt16, UInt64))",
}
_SHAPE = {
    "id": "String",
    "operation": "String",
    "name": "String",
    "type": "String",
    "document": "String",
    "invalid": "Bool",
    "coverage": "Array(String)",
    "kind": "Array(String)",
    "coordinate": "Array(String)",
    "named_type": "Array(String)",
    "state": "Array(UInt8)",
    "sdl": "String",
}
_RANGE = {
    "pipeline": "String",
    "topic": "String",
    "topic_id": "String",
    "partition": "UInt32",
    "epoch": "UInt32",
    "first_offset": "Int64",
    "last_offset": "Int64",
    "first_appended": "DateTime64(3, 'UTC')",
    "last_appended": "DateTime64(3, 'UTC')",
    "records": "UInt64",
    "repeats": "UInt64",
    "repeat_requests": "UInt64",
    "dead_letters": "UInt64",
    "tallies": "UInt64",
    "landed_requests": "UInt64",
    "lost_requests": "UInt64",
    "lost_records": "UInt64",
    "missing": "Int64",
    "first_time": "DateTime('UTC')",
    "last_time": "DateTime('UTC')",
    "seen_agent": "Array(String)",
    "seen_before": "Array(String)",
    "seen_after": "Array(String)",
    "detail": "String",
}
_COMMON = {
    "record": "String",
    "v": "UInt8",
    "org": "String",
    "graph": "String",
    "source": "String",
    "received": "UInt64",
}
REPORTS, NAMED, EXECUTIONS = "landing", "landing_named", "landing_executions"

RECORDS = {
    REPORTS: {**_COMMON, **_TALLY},
    NAMED: {**_COMMON, **_SHAPE},
    EXECUTIONS: {**_COMMON, "executions": f"Tuple({', '.join(map(' '.join, _EXECUTION.items()))})"},
}
"""What a journal record brings; other fields of it have no column.  Table → column → ClickHouse type."""

RANGED = (REPORTS, NAMED)
"""Those that also take the loader's `range` rows."""

TABLES = {table: columns | (_RANGE if table in RANGED else {}) for table, columns in RECORDS.items()}
"""Table → column → ClickHouse type, in the table's order."""


def create_table(table: str) -> str:
    """The table's definition: the engine keeps nothing, the views do."""
    columns = ", ".join(f"`{name}` {type_}" for name, type_ in TABLES[table].items())
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns}) ENGINE = Null"


def empty_value(type_: str) -> object:
    """What stands in a column that a row leaves out."""
    if type_.startswith(("Array", "Map")):
        return [] if type_.startswith("Array") else {}
    return "" if "String" in type_ else 0
