"""The SQL of `verify`: the ledger against itself and against the traffic."""

from __future__ import annotations

_OURS = "pipeline = {pipeline:String} AND topic_id = {topic_id:String} AND partition = {partition:UInt32}"

RANGES = f"""
SELECT count() AS ranges, sum(n) AS records, min(first_offset) AS low, max(last_offset) AS high, sum(d) AS dead_letters,
  sum(r) AS requests, sum(rr) AS repeat_requests, sum(l) AS lost_records
FROM (
  SELECT first_offset, last_offset, sum(records) AS n, sum(ledger.dead_letters) AS d, sum(ledger.requests) AS r,
    sum(ledger.repeat_requests) AS rr, sum(ledger.lost_records) AS l
  FROM ledger WHERE {_OURS} AND first_offset < {{committed:Int64}} GROUP BY first_offset, last_offset
)
"""

BROKEN_RANGES = f"""
SELECT first_offset, last_offset, n, previous, number FROM (
  SELECT first_offset, last_offset, n, row_number() OVER w AS number, lagInFrame(last_offset, 1, -1) OVER w AS previous
  FROM (
    SELECT first_offset, last_offset, sum(records) AS n FROM ledger
    WHERE {_OURS} AND first_offset < {{committed:Int64}} GROUP BY first_offset, last_offset
  ) WINDOW w AS (ORDER BY first_offset, last_offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
) WHERE n != last_offset - first_offset + 1 OR (number > 1 AND first_offset != previous + 1)
ORDER BY first_offset LIMIT {{limit:UInt32}}
"""

PAGE_OF_RANGES = f"""
SELECT first_offset, last_offset, groupArray((org, graph, records, requests, repeat_requests, dead_letters)) AS accounts
FROM ledger WHERE {_OURS} AND first_offset >= {{next:Int64}} AND last_offset < {{committed:Int64}}
GROUP BY first_offset, last_offset ORDER BY first_offset LIMIT {{limit:UInt32}}
"""

DEAD_LETTERS = f"""
SELECT offset, org, graph FROM dead_letters
WHERE {_OURS} AND offset BETWEEN {{first:Int64}} AND {{last:Int64}}
"""

GAPS = """
SELECT org, graph, held FROM (
  SELECT org, graph, agent, argMax(latest, until) AS held FROM (
    SELECT org, graph, agent, argMax(after, last_offset) AS latest, max(last_appended) AS until
    FROM ledger ARRAY JOIN seen_agent AS agent, seen_after AS after
    WHERE pipeline = {pipeline:String} AND topic = {topic:String} AND partition = {partition:UInt32}
    GROUP BY org, graph, agent, topic_id
  ) GROUP BY org, graph, agent
) WHERE position(held, ' ') > 0
"""

_SCOPED = "({everything:UInt8} OR (org = {org:String} AND graph = {graph:String}))"

TOTALS = f"""
SELECT org, graph, day, sum(l) AS ledger, sum(t) AS traffic FROM (
  SELECT org, graph, date AS day, sum(requests) AS l, 0 AS t FROM ledger_days WHERE {_SCOPED} GROUP BY org, graph, day
  UNION ALL SELECT org, graph, toDate(time) AS day, 0, sum(requests) FROM traffic WHERE {_SCOPED}
    GROUP BY org, graph, day
) GROUP BY org, graph, day ORDER BY org, graph, day
"""

OUTCOMES = f"""
SELECT org, graph, day, sum(l) AS ledger, sum(x) AS executions FROM (
  SELECT org, graph, date AS day, sum(counted) AS l, 0 AS x FROM ledger_executions WHERE {_SCOPED}
    GROUP BY org, graph, day
  UNION ALL SELECT org, graph, toDate(time) AS day, 0, sum(errors) + sum(sampled) FROM executions WHERE {_SCOPED}
    GROUP BY org, graph, day
) GROUP BY org, graph, day ORDER BY org, graph, day
"""

ROWS = f"""
SELECT (SELECT count() FROM traffic WHERE {_SCOPED}) AS n, (SELECT sum(tallies) FROM ledger WHERE {_SCOPED}) AS tallies
"""
