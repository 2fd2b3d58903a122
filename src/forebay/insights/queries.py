"""Every SQL text of the questions.  All values are parameters; every query starts at one graph's prefix.

`shapes` and `shape_entries` may hold a row more than once until they are merged: whatever is
joined from them is made unique first, so that no count is ever multiplied.
"""

from __future__ import annotations

from typing import Any

from .answers import Scope
from .window import Window

_GRAPH = "org = {org:String} AND graph = {graph:String}"
_IN_WINDOW = f"{_GRAPH} AND time >= toDateTime({{since:Int64}}, 'UTC') AND time < toDateTime({{until:Int64}}, 'UTC')"
_SHAPES = f"SELECT * FROM shapes WHERE {_GRAPH} LIMIT 1 BY shape"
_ENTRIES = f"SELECT DISTINCT kind, coordinate, named_type, state, operation, shape FROM shape_entries WHERE {_GRAPH}"


def parameters(scope: Scope, window: Window, **more: Any) -> dict[str, Any]:
    return {
        **graph_parameters(scope),
        "since": int(window.since.timestamp()),
        "until": int(window.until.timestamp()),
        **more,
    }


def graph_parameters(scope: Scope) -> dict[str, Any]:
    return {"org": scope.org, "graph": scope.graph}


NEWEST_SCHEMA = f"SELECT schema_version, sdl FROM schemas WHERE {_GRAPH} ORDER BY received DESC LIMIT 1"

ROOTS = f"SELECT DISTINCT roots FROM schemas WHERE {_GRAPH}"

SCHEMAS_RUN = f"""
SELECT schema_version, sdl FROM schemas
WHERE {_GRAPH} AND schema_version IN (SELECT DISTINCT schema_version FROM traffic WHERE {_IN_WINDOW})
ORDER BY received DESC LIMIT 20
"""

VERSIONS_RUN = f"""
SELECT schema_version AS name, groupUniqArray(toUnixTimestamp(time)) AS times,
  name IN (SELECT schema_version FROM schemas WHERE {_GRAPH}) AS published
FROM traffic
WHERE {_IN_WINDOW} AND schema_version != ''
  AND time >= (SELECT max(last) FROM shape_seen WHERE {_GRAPH}) - INTERVAL 1 DAY
GROUP BY name ORDER BY length(times) DESC, name LIMIT 100
"""
"""Of the graph's last day with traffic: when each version had requests, to five minutes."""

SCHEMAS_NAMED = f"""
SELECT schema_version, sdl FROM schemas
WHERE {_GRAPH} AND schema_version IN {{versions:Array(String)}} LIMIT 1 BY schema_version
"""

LEDGER = f"""
SELECT countIf(tallies > 0) AS reports, minIf(first_time, tallies > 0) AS data_since,
  sumIf(missing, last_appended >= toDateTime({{since:Int64}}, 'UTC')) AS missing
FROM ledger WHERE {_GRAPH}
"""

LOST_RECORDS = """
SELECT sum(lost_records) AS lost FROM ledger
WHERE lost_records > 0 AND last_appended >= toDateTime({since:Int64}, 'UTC')
"""
"""Whose they were nobody knows: every graph's answers lack them."""

LOSSES = f"""
SELECT reason, sum(requests) AS lost FROM ledger_losses
WHERE {_GRAPH} AND last_appended >= toDateTime({{since:Int64}}, 'UTC') GROUP BY reason HAVING lost > 0 ORDER BY reason
"""

DEAD_LETTERS = """
SELECT reason, count() AS letters FROM dead_letters
WHERE ((org = {org:String} AND graph = {graph:String}) OR (org = '' AND graph = ''))
  AND appended >= toDateTime({since:Int64}, 'UTC')
GROUP BY reason ORDER BY letters DESC
"""

_SEEN = f"SELECT shape FROM shape_seen WHERE {_GRAPH} AND last >= toDateTime({{since:Int64}}, 'UTC')"
"""The shapes of a window, which ends now."""

VISIBILITY = f"""
SELECT 'all' AS which, sum(requests) AS n FROM traffic WHERE {_IN_WINDOW}
UNION ALL SELECT 'orphans', sum(requests) FROM traffic WHERE {_IN_WINDOW} AND shape IN (
  SELECT shape FROM ({_SEEN}) AS seen
  LEFT JOIN (SELECT shape, 1 AS described FROM shapes WHERE {_GRAPH}) AS shapes USING shape WHERE described = 0
  SETTINGS join_algorithm = 'full_sorting_merge,hash', join_use_nulls = 0
)
UNION ALL SELECT 'blind', sum(requests) FROM traffic
WHERE {_IN_WINDOW} AND shape IN (SELECT shape FROM shapes WHERE {_GRAPH} AND empty(coverage) AND NOT invalid)
"""
# Both tables are in the order of shapes: merged so, the join takes two thirds of the time, and no memory for a hash.

LESSER_COVERAGES = f"""
SELECT DISTINCT coverage FROM shapes WHERE {_GRAPH} AND length(coverage) < {{full:UInt8}} AND NOT invalid
"""

COVERAGES = f"{LESSER_COVERAGES} AND shape IN ({_SEEN})"
"""Those of the window: asked only where there are any, because to look a million shapes up takes half a second."""

_CLIENTS_OF = f"""
SELECT t.client AS client, t.client_version AS client_version, e.operation AS operation, e.name AS name,
  any(e.type) AS type, groupUniqArray(e.kind) AS kinds, groupBitOr(e.state) AS states,
  sum(t.requests) AS requests, sum(t.errors) AS errors, min(t.time) AS first_seen, max(t.time) AS last_seen
FROM (
  SELECT shape, client, client_version, time, requests, errors FROM traffic WHERE {_IN_WINDOW}
) AS t
LEFT SEMI JOIN (
  SELECT shape, kind, state, operation, name, type FROM shape_entries
  WHERE {_GRAPH} AND coordinate = {{coordinate:String}} AND used
) AS e ON e.shape = t.shape
GROUP BY client, client_version, operation, name
"""
# A shape has one entry of a coordinate, if perhaps several copies: the semi join takes any of them.

CLIENTS_OF = f"""
{_CLIENTS_OF} ORDER BY requests DESC LIMIT {{limit:UInt32}}
SETTINGS optimize_move_to_prewhere = 0
"""
# Without the setting, planning a PREWHERE takes a sixth of the time and gains nothing at any size (measured).

ALL_CLIENTS_OF = f"SELECT countIf(n > 0), sum(n) FROM (SELECT requests AS n FROM ({_CLIENTS_OF}))"

CLIENTS = f"""
SELECT t.client AS client, t.client_version AS client_version, sum(t.n) AS requests, sum(t.e) AS errors,
  uniqExact(s.operation) AS operations, min(t.first) AS first_seen, max(t.last) AS last_seen
FROM (
  SELECT shape, client, client_version, sum(requests) AS n, sum(errors) AS e, min(time) AS first, max(time) AS last
  FROM traffic WHERE {_IN_WINDOW} GROUP BY shape, client, client_version
) AS t
LEFT JOIN ({_SHAPES}) AS s ON s.shape = t.shape
GROUP BY client, client_version HAVING requests > 0 ORDER BY requests DESC, client, client_version
"""

_OF_CLIENT = "client = {client:String} AND ({any_version:UInt8} OR client_version = {client_version:String})"

CLIENT_REQUESTS = f"SELECT sum(requests) AS requests FROM traffic WHERE {_IN_WINDOW} AND {_OF_CLIENT}"

FIELDS_OF = f"""
SELECT e.kind AS kind, e.coordinate AS coordinate, sum(t.n) AS requests, uniqExact(e.operation) AS operations,
  max(t.last) AS last_seen
FROM (
  SELECT shape, sum(requests) AS n, max(time) AS last FROM traffic
  WHERE {_IN_WINDOW} AND {_OF_CLIENT} GROUP BY shape HAVING n > 0
) AS t
INNER JOIN ({_ENTRIES} AND used) AS e ON e.shape = t.shape
GROUP BY kind, coordinate ORDER BY coordinate, kind
"""

OPERATIONS = f"""
SELECT s.operation AS operation, s.name AS name, s.type AS type, sum(t.requests) AS n, sum(t.errors) AS errors,
  sumMap(t.duration) AS durations, uniqExact(t.client) AS clients, min(t.time) AS first_seen, max(t.time) AS last_seen,
  max(s.invalid) AS invalid,
  max(t.shape IN (SELECT shape FROM shape_entries WHERE {_GRAPH} AND coordinate IN {{deprecated:Array(String)}}
    AND used)) AS uses_deprecated,
  count() OVER () AS total
FROM (SELECT * FROM traffic WHERE {_IN_WINDOW} AND ({{any_client:UInt8}} OR {_OF_CLIENT})) AS t
LEFT JOIN ({_SHAPES}) AS s ON s.shape = t.shape
GROUP BY operation, name, type HAVING n > 0 ORDER BY n DESC, name, operation LIMIT {{limit:UInt32}}
"""


def _errors(at: str = "") -> str:
    rows = f"FROM executions WHERE {_IN_WINDOW} AND errors > 0{at}"
    shapes = (
        f"SELECT shape, operation, name FROM shapes WHERE {_GRAPH} AND shape IN (SELECT shape {rows}) LIMIT 1 BY shape"
    )
    return f"""
SELECT x.coordinate AS coordinate, x.client AS client, x.client_version AS client_version, s.operation AS operation,
  s.name AS name, x.errors AS errors, x.requests AS requests, x.time AS time
FROM (SELECT * {rows}) AS x LEFT JOIN ({shapes}) AS s ON s.shape = x.shape
"""


ERRORS_BY_FIELD = f"""
SELECT *, sum(n) OVER () AS total, count() OVER () AS fields FROM (
  SELECT coordinate, sum(errors) AS n, sum(requests) AS failed, uniqExact(client) AS clients, max(time) AS last_seen
  FROM ({_errors()}) WHERE {{any_operation:UInt8}} OR operation = {{operation:String}} GROUP BY coordinate
) ORDER BY coordinate != '', n DESC, coordinate LIMIT {{limit:UInt32}}
"""
"""First, where there are any, the errors of which nobody knows the field."""

ERRORS_AT = f"""
SELECT *, sum(n) OVER () AS errors, sum(failed) OVER () AS requests, count() OVER () AS total FROM (
  SELECT client, client_version, operation, name, sum(errors) AS n, sum(requests) AS failed, max(time) AS last_seen
  FROM ({_errors(" AND coordinate = {coordinate:String}")}) GROUP BY client, client_version, operation, name
) ORDER BY n DESC, client, client_version, name, operation LIMIT {{limit:UInt32}}
"""

EXECUTIONS_OF = f"""
SELECT sum(executions.executions) AS executions, sum(executions.sampled) AS seen, sum(executions.failed) AS failed,
  sumMap(executions.duration) AS durations
FROM executions WHERE {_IN_WINDOW} AND coordinate = {{coordinate:String}}
"""

REQUESTS_OVER_TIME = f"""
SELECT intDiv(toUnixTimestamp(time) - {{since:Int64}}, {{step:UInt32}}) AS number,
  sum(requests) AS n, sum(errors) AS e
FROM traffic WHERE {_IN_WINDOW} GROUP BY number ORDER BY number
"""

SCHEMA_USE = f"""
SELECT e.kind AS kind, e.coordinate AS coordinate, sum(t.n) AS requests, sumIf(t.n, e.sure) AS certain,
  max(t.last) AS last_seen
FROM (SELECT shape, sum(requests) AS n, max(time) AS last FROM traffic WHERE {_IN_WINDOW} GROUP BY shape HAVING n > 0) t
INNER JOIN (
  SELECT kind, coordinate, shape,
    max(kind NOT IN ('argument', 'input') OR bitAnd(state, 11) != 0 OR state = 0) AS sure
  FROM shape_entries WHERE {_GRAPH} AND used GROUP BY kind, coordinate, shape
) AS e ON e.shape = t.shape
GROUP BY kind, coordinate
"""

ENUMS_RETURNED = f"""
SELECT DISTINCT named_type FROM shape_entries
WHERE {_GRAPH} AND kind = 'field' AND named_type IN {{enums:Array(String)}}
  AND shape IN (SELECT shape FROM traffic WHERE {_IN_WINDOW})
"""

FIELD_TYPES = f"SELECT DISTINCT coordinate, named_type FROM field_types WHERE {_GRAPH}"

_CONCERNED = f"""
{_SEEN} AND shape IN (
  SELECT shape FROM shape_entries WHERE {_GRAPH} AND coordinate IN {{coordinates:Array(String)}} AND used
  UNION ALL SELECT shape FROM shape_entries WHERE {_GRAPH} AND named_type IN {{types:Array(String)}}
  UNION ALL SELECT shape FROM shape_entries
  WHERE {_GRAPH} AND substringIndex(coordinate, '.', 1) IN {{types:Array(String)}}
  UNION ALL SELECT shape FROM shape_entries WHERE {_GRAPH} AND kind = 'field' AND (coordinate, named_type) IN (
    SELECT arrayJoin(arrayZip({{moved:Array(String)}}, {{moved_types:Array(String)}}))
  )
  UNION ALL SELECT shape FROM shapes WHERE {{everything:UInt8}} AND {_GRAPH} AND NOT invalid
) AND (NOT {{apart:UInt8}} OR shape IN (
  SELECT shape FROM shapes WHERE {{apart:UInt8}} AND {_GRAPH} AND arraySort(coverage) = {{coverage:Array(String)}}
)) GROUP BY shape
"""
"""See `touches.Touch` and `moved.Moved`.

`apart`: only those of reporters that see so much, where they do not all see the same.
"""

CONCERNED = f"""
SELECT lower(hex(shape)) AS id, count() OVER () AS n FROM ({_CONCERNED}) ORDER BY shape LIMIT {{limit:UInt32}}
"""
"""Ids are hashes, so the first are a fair sample; and neighbours in every table, so that few granules hold them."""

_THESE = "shape IN (SELECT arrayJoin(arrayMap(id -> toFixedString(unhex(id), 16), {shapes:Array(String)})))"

SHAPES_OF = f"""
SELECT lower(hex(shape)) AS id, operation, name, type, document, coverage, entries FROM shapes
WHERE {_GRAPH} AND NOT invalid AND {_THESE} LIMIT 1 BY shape
"""

TRAFFIC_OF = f"""
SELECT lower(hex(shape)) AS id, client, client_version, sum(requests) AS n, max(time) AS last_seen FROM traffic
WHERE {_IN_WINDOW} AND {_THESE} GROUP BY shape, client, client_version HAVING n > 0
"""

MARKS = f"""
SELECT change, operation, author, reason, revoked, at FROM marks
WHERE {_GRAPH} ORDER BY at DESC LIMIT 1 BY change, operation
"""

GRAPHS = """
SELECT org, graph, max(seen) AS last_seen FROM (
  SELECT org, graph, max(last_time) AS seen FROM ledger GROUP BY org, graph
  UNION ALL SELECT org, graph, max(time) FROM traffic GROUP BY org, graph
  UNION ALL SELECT org, graph, toDateTime(0, 'UTC') FROM schemas GROUP BY org, graph
) WHERE org != '' OR graph != '' GROUP BY org, graph ORDER BY org, graph
"""
