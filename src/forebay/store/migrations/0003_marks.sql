-- What a person let pass in checks: one change of a schema for one operation.  The latest row of a key counts.
-- It comes in like everything else; what a shape has as id, operation, name, document and invalid is here the
-- change, the operation, the author, the reason, and whether it was revoked.
CREATE TABLE marks (
  org LowCardinality(String), graph LowCardinality(String), change String, operation String,
  author String, reason String, revoked Bool, at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(at) ORDER BY (org, graph, change, operation)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW marks_view TO marks AS
SELECT org, graph, id AS change, operation, name AS author, document AS reason, invalid AS revoked,
  fromUnixTimestamp64Milli(toInt64(landing_named.received), 'UTC') AS at
FROM landing_named WHERE record = 'mark';
