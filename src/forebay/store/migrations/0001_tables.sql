-- Targets first, then the views that feed them from `landing`.
-- Every target has a deduplication window: a repeated insert must change none of them.

CREATE TABLE requests_5m (
  org LowCardinality(String), graph LowCardinality(String), shape FixedString(16),
  client LowCardinality(String), client_version LowCardinality(String),
  schema_version LowCardinality(String), status UInt16,
  time DateTime('UTC') CODEC(Delta, ZSTD(3)),
  requests SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  duration SimpleAggregateFunction(sumMap, Map(UInt16, UInt64)) CODEC(ZSTD(3))
) ENGINE = AggregatingMergeTree PARTITION BY toDate(time)
ORDER BY (org, graph, shape, client, client_version, schema_version, status, time)
TTL toDate(time) + INTERVAL 14 DAY SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE requests_1h AS requests_5m ENGINE = AggregatingMergeTree PARTITION BY toMonday(time)
ORDER BY (org, graph, shape, client, client_version, schema_version, status, time)
TTL toDate(time) + INTERVAL 100 DAY SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE requests_1d AS requests_5m ENGINE = AggregatingMergeTree PARTITION BY toStartOfMonth(time)
ORDER BY (org, graph, shape, client, client_version, schema_version, status, time)
TTL toDate(time) + INTERVAL 800 DAY SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE shapes (
  org LowCardinality(String), graph LowCardinality(String), shape FixedString(16),
  source LowCardinality(String), operation String, name String, type LowCardinality(String),
  document String CODEC(ZSTD(3)), invalid Bool, coverage Array(LowCardinality(String)), received DateTime('UTC')
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, shape)
TTL received + INTERVAL 800 DAY SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE shape_entries (
  org LowCardinality(String), graph LowCardinality(String), coordinate String CODEC(ZSTD(3)),
  kind LowCardinality(String), shape FixedString(16), named_type LowCardinality(String),
  state UInt8, received DateTime('UTC')
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, coordinate, kind, shape)
TTL received + INTERVAL 800 DAY SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE schemas (
  org LowCardinality(String), graph LowCardinality(String), schema_version String,
  source LowCardinality(String), sdl String CODEC(ZSTD(3)), received DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, schema_version)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE ledger (
  pipeline LowCardinality(String), topic LowCardinality(String), topic_id LowCardinality(String),
  partition UInt32, epoch UInt32, first_offset Int64 CODEC(Delta, ZSTD(3)), last_offset Int64 CODEC(Delta, ZSTD(3)),
  org LowCardinality(String), graph LowCardinality(String),
  first_appended DateTime64(3, 'UTC'), last_appended DateTime64(3, 'UTC'),
  records UInt64, repeats UInt64, repeat_requests UInt64, dead_letters UInt64,
  tallies UInt64, requests UInt64, day_requests Map(Date, UInt64),
  first_time DateTime('UTC'), last_time DateTime('UTC'),
  lost Map(LowCardinality(String), UInt64), adjusted Map(LowCardinality(String), UInt64)
) ENGINE = MergeTree ORDER BY (pipeline, topic, topic_id, partition, first_offset, org, graph)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE dead_letters (
  pipeline LowCardinality(String), topic LowCardinality(String), topic_id LowCardinality(String),
  partition UInt32, epoch UInt32, offset Int64, appended DateTime64(3, 'UTC'),
  org LowCardinality(String), graph LowCardinality(String),
  reason LowCardinality(String), message String, raw String CODEC(ZSTD(3))
) ENGINE = MergeTree ORDER BY (pipeline, topic, topic_id, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000;

-- The sequences seen of each agent, before and after the last range that held a report of it: a
-- restart that replays this range reads `before`, one that goes on behind it reads `after`.
CREATE TABLE seen_sequences (
  pipeline LowCardinality(String), topic_id LowCardinality(String), partition UInt32,
  org LowCardinality(String), graph LowCardinality(String), agent String,
  first_offset Int64, last_offset Int64, before String, after String, appended DateTime('UTC')
) ENGINE = ReplacingMergeTree(last_offset) ORDER BY (pipeline, topic_id, partition, org, graph, agent)
TTL appended + INTERVAL 90 DAY SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW requests_5m_view TO requests_5m AS
SELECT org, graph, unhex(s) AS shape, c AS client, cv AS client_version, sv AS schema_version, st AS status,
  toStartOfFiveMinutes(toDateTime(m * 60, 'UTC')) AS time,
  sum(r) AS requests, sum(e) AS errors, sumMap(d) AS duration
FROM landing ARRAY JOIN landing.minute AS m, landing.schema_version AS sv, landing.shape AS s, landing.client AS c,
  landing.client_version AS cv, landing.status AS st, landing.requests AS r, landing.errors AS e, landing.duration AS d
WHERE record = 'tallies'
GROUP BY org, graph, shape, client, client_version, schema_version, status, time;

CREATE MATERIALIZED VIEW requests_1h_view TO requests_1h AS
SELECT org, graph, shape, client, client_version, schema_version, status, toStartOfHour(requests_5m.time) AS time,
  sum(requests_5m.requests) AS requests, sum(requests_5m.errors) AS errors, sumMap(requests_5m.duration) AS duration
FROM requests_5m
GROUP BY org, graph, shape, client, client_version, schema_version, status, time;

CREATE MATERIALIZED VIEW requests_1d_view TO requests_1d AS
SELECT org, graph, shape, client, client_version, schema_version, status, toStartOfDay(requests_1h.time) AS time,
  sum(requests_1h.requests) AS requests, sum(requests_1h.errors) AS errors, sumMap(requests_1h.duration) AS duration
FROM requests_1h
GROUP BY org, graph, shape, client, client_version, schema_version, status, time;

CREATE MATERIALIZED VIEW shapes_view TO shapes AS
SELECT org, graph, unhex(id) AS shape, source, operation, name, type, document, invalid, coverage,
  toDateTime(intDiv(landing.received, 1000), 'UTC') AS received
FROM landing WHERE record = 'shape';

CREATE MATERIALIZED VIEW shape_entries_view TO shape_entries AS
SELECT org, graph, co AS coordinate, k AS kind, unhex(id) AS shape, nt AS named_type, st AS state,
  toDateTime(intDiv(landing.received, 1000), 'UTC') AS received
FROM landing ARRAY JOIN landing.coordinate AS co, landing.kind AS k, landing.named_type AS nt, landing.state AS st
WHERE record = 'shape';

CREATE MATERIALIZED VIEW schemas_view TO schemas AS
SELECT org, graph, id AS schema_version, source, sdl,
  fromUnixTimestamp64Milli(toInt64(landing.received), 'UTC') AS received
FROM landing WHERE record = 'schema';

CREATE MATERIALIZED VIEW ledger_view TO ledger AS
SELECT pipeline, topic, topic_id, partition, epoch, first_offset, last_offset, org, graph,
  fromUnixTimestamp64Milli(toInt64(landing.first_appended), 'UTC') AS first_appended,
  fromUnixTimestamp64Milli(toInt64(landing.last_appended), 'UTC') AS last_appended,
  records, repeats, repeat_requests, length(dead_offset) AS dead_letters, tallies,
  landed_requests AS requests, CAST(landing.day_requests, 'Map(Date, UInt64)') AS day_requests,
  toDateTime(first_minute * 60, 'UTC') AS first_time, toDateTime(last_minute * 60, 'UTC') AS last_time, lost, adjusted
FROM landing WHERE record = 'range';

CREATE MATERIALIZED VIEW dead_letters_view TO dead_letters AS
SELECT pipeline, topic, topic_id, partition, epoch, o AS offset,
  fromUnixTimestamp64Milli(toInt64(a), 'UTC') AS appended, org, graph, re AS reason, me AS message, ra AS raw
FROM landing ARRAY JOIN landing.dead_offset AS o, landing.dead_appended AS a, landing.dead_reason AS re,
  landing.dead_message AS me, landing.dead_raw AS ra
WHERE record = 'range';

CREATE MATERIALIZED VIEW seen_sequences_view TO seen_sequences AS
SELECT pipeline, topic_id, partition, org, graph, ag AS agent, first_offset, last_offset, be AS before, af AS after,
  toDateTime(intDiv(landing.last_appended, 1000), 'UTC') AS appended
FROM landing ARRAY JOIN landing.seen_agent AS ag, landing.seen_before AS be, landing.seen_after AS af
WHERE record = 'range';
