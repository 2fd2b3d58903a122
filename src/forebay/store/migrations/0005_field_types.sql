-- What type each field returned wherever it was recorded: a check looks for what was recorded on other types than
-- stand there now, in as many rows as schemas have fields, and not in the entries of all shapes.
CREATE TABLE field_types (
  org LowCardinality(String), graph LowCardinality(String), coordinate String CODEC(ZSTD(3)),
  named_type LowCardinality(String), received DateTime('UTC')
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, coordinate, named_type)
TTL received + INTERVAL 800 DAY SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW field_types_view TO field_types AS
SELECT DISTINCT org, graph, co AS coordinate, nt AS named_type,
  toDateTime(intDiv(landing_named.received, 1000), 'UTC') AS received
FROM landing_named ARRAY JOIN landing_named.coordinate AS co, landing_named.kind AS k, landing_named.named_type AS nt
WHERE record = 'shape' AND k = 'field';

INSERT INTO field_types SELECT org, graph, coordinate, named_type, max(received)
FROM shape_entries WHERE kind = 'field' GROUP BY org, graph, coordinate, named_type;
