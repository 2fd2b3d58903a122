-- Targets first, then the views that feed them; a statement with {landing} is run for both landing tables.
-- Every target has a deduplication window: a repeated insert must change none of them.

-- Traffic by 5 minutes; what is older than 2 days is merged to hours, than 45 days to days.  One
-- table, so that an insert writes one part: parts are what inserts cost.
CREATE TABLE traffic (
  org LowCardinality(String) CODEC(ZSTD(3)), graph LowCardinality(String) CODEC(ZSTD(3)),
  shape FixedString(16) CODEC(ZSTD(3)),
  client LowCardinality(String) CODEC(ZSTD(3)), client_version LowCardinality(String) CODEC(ZSTD(3)),
  schema_version LowCardinality(String) CODEC(ZSTD(3)), status UInt16 CODEC(ZSTD(3)),
  time DateTime('UTC') CODEC(Delta, ZSTD(3)),
  requests SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  duration SimpleAggregateFunction(sumMap, Map(UInt16, UInt64)) CODEC(ZSTD(3))
) ENGINE = AggregatingMergeTree PARTITION BY toMonday(time)
PRIMARY KEY (org, graph, shape, client, client_version, schema_version, status, toStartOfDay(time), toStartOfHour(time))
ORDER BY (org, graph, shape, client, client_version, schema_version, status, toStartOfDay(time), toStartOfHour(time), time)
TTL
  time + INTERVAL 2 DAY
    GROUP BY org, graph, shape, client, client_version, schema_version, status, toStartOfDay(time), toStartOfHour(time)
    SET requests = sum(requests), errors = sum(errors), duration = sumMap(duration), time = min(toStartOfHour(time)),
  time + INTERVAL 45 DAY
    GROUP BY org, graph, shape, client, client_version, schema_version, status, toStartOfDay(time)
    SET requests = sum(requests), errors = sum(errors), duration = sumMap(duration), time = min(toStartOfDay(time)),
  time + INTERVAL 800 DAY DELETE
SETTINGS non_replicated_deduplication_window = 10000;

-- When a shape was last requested: which shapes a window has is asked here, of one row each, and not of all traffic.
CREATE TABLE shape_seen (
  org LowCardinality(String), graph LowCardinality(String), shape FixedString(16),
  last SimpleAggregateFunction(max, DateTime('UTC'))
) ENGINE = AggregatingMergeTree ORDER BY (org, graph, shape)
TTL last + INTERVAL 800 DAY SETTINGS non_replicated_deduplication_window = 10000;

-- `entries`: as JSON, [kind, coordinate, named type, state] each, for who wants all of a shape; `shape_entries` is
-- the other way around.  Small granules and blocks: a check picks some hundred shapes out of a million.
CREATE TABLE shapes (
  org LowCardinality(String), graph LowCardinality(String), shape FixedString(16),
  source LowCardinality(String), operation String, name String, type LowCardinality(String),
  document String CODEC(ZSTD(3)), invalid Bool, coverage Array(LowCardinality(String)),
  entries String CODEC(ZSTD(3)), received DateTime('UTC')
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, shape)
TTL received + INTERVAL 800 DAY
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 32,
  min_compress_block_size = 16384, max_compress_block_size = 65536;

-- `used`: an argument or input field that is absent wherever it could stand is recorded, not used.
CREATE TABLE shape_entries (
  org LowCardinality(String), graph LowCardinality(String), coordinate String CODEC(ZSTD(3)),
  kind LowCardinality(String), shape FixedString(16), named_type LowCardinality(String),
  state UInt8, used Bool, operation LowCardinality(String), name LowCardinality(String), type LowCardinality(String),
  received DateTime('UTC'), INDEX named_type named_type TYPE set(0),
  INDEX owner substringIndex(coordinate, '.', 1) TYPE set(0)
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, coordinate, kind, shape)
TTL received + INTERVAL 800 DAY SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE schemas (
  org LowCardinality(String), graph LowCardinality(String), schema_version String,
  source LowCardinality(String), sdl String CODEC(ZSTD(3)), received DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(received) ORDER BY (org, graph, schema_version)
SETTINGS non_replicated_deduplication_window = 10000;

-- What became of each range of the journal.  Plain strings, no partitions, and what is seldom read in one
-- JSON text, `detail`: a range is a row or a few, and each dictionary, partition key and nested column costs its
-- insert more than it could ever save (measured: a fifth of the whole insert).  `seen_*`: of each agent that sent
-- a report in the range, which of its sequences the log held before the range and after it, so that a restart
-- knows them whether it replays the range or goes on behind it.
CREATE TABLE ledger (
  pipeline String, topic String, topic_id String,
  partition UInt32, epoch UInt32, first_offset Int64 CODEC(Delta, ZSTD(3)), last_offset Int64 CODEC(Delta, ZSTD(3)),
  org String, graph String,
  first_appended DateTime64(3, 'UTC'), last_appended DateTime64(3, 'UTC'),
  records UInt64, repeats UInt64, repeat_requests UInt64, dead_letters UInt64,
  tallies UInt64, requests UInt64, lost_requests UInt64, lost_records UInt64, missing Int64,
  first_time DateTime('UTC'), last_time DateTime('UTC'),
  seen_agent Array(String) CODEC(ZSTD(3)), seen_before Array(String) CODEC(ZSTD(3)), seen_after Array(String) CODEC(ZSTD(3)),
  detail String CODEC(ZSTD(3))
) ENGINE = MergeTree ORDER BY (pipeline, topic, topic_id, partition, first_offset, org, graph)
TTL toDateTime(last_appended) + INTERVAL 800 DAY SETTINGS non_replicated_deduplication_window = 10000;

-- What `detail` holds: requests by day (of the epoch), by reason those that agents lost, tallies whose time was
-- replaced, and the dead letters.
CREATE VIEW ledger_days AS
SELECT org, graph, toDate(toUInt16(day.1)) AS date, day.2 AS requests
FROM ledger ARRAY JOIN JSONExtractKeysAndValues(detail, 'days', 'UInt64') AS day;

CREATE VIEW ledger_losses AS
SELECT org, graph, last_appended, loss.1 AS reason, loss.2 AS requests
FROM ledger ARRAY JOIN JSONExtractKeysAndValues(detail, 'lost', 'UInt64') AS loss WHERE lost_requests > 0;

CREATE VIEW dead_letters AS
SELECT pipeline, topic, topic_id, partition, epoch, dead.1 AS offset,
  fromUnixTimestamp64Milli(dead.2, 'UTC') AS appended, org, graph, dead.3 AS reason, dead.4 AS message,
  base64Decode(dead.5) AS raw
FROM ledger ARRAY JOIN JSONExtract(detail, 'dead', 'Array(Tuple(Int64, Int64, String, String, String))') AS dead
WHERE dead_letters > 0;

-- No GROUP BY: the loader's rows are folded already, and merges add up what other pullers insert.
-- No WHERE: a `range` row has no tallies, so the ARRAY JOIN leaves it out.
CREATE MATERIALIZED VIEW traffic_view TO traffic AS
SELECT org, graph, unhex(s) AS shape, c AS client, cv AS client_version, sv AS schema_version, st AS status,
  toStartOfFiveMinutes(toDateTime(m * 60, 'UTC')) AS time, r AS requests, e AS errors, d AS duration
FROM landing ARRAY JOIN landing.minute AS m, landing.schema_version AS sv, landing.shape AS s, landing.client AS c,
  landing.client_version AS cv, landing.status AS st, landing.requests AS r, landing.errors AS e, landing.duration AS d;

CREATE MATERIALIZED VIEW shape_seen_view TO shape_seen AS
SELECT org, graph, unhex(s) AS shape, toStartOfFiveMinutes(toDateTime(m * 60, 'UTC')) AS last
FROM landing ARRAY JOIN landing.minute AS m, landing.shape AS s;

CREATE MATERIALIZED VIEW shapes_view TO shapes AS
SELECT org, graph, unhex(id) AS shape, source, operation, name, type, document, invalid, coverage,
  toJSONString(arrayZip(landing_named.kind, landing_named.coordinate, landing_named.named_type, landing_named.state))
    AS entries,
  toDateTime(intDiv(landing_named.received, 1000), 'UTC') AS received
FROM landing_named WHERE record = 'shape';

CREATE MATERIALIZED VIEW shape_entries_view TO shape_entries AS
SELECT org, graph, co AS coordinate, k AS kind, unhex(id) AS shape, nt AS named_type, st AS state,
  NOT (k IN ('argument', 'input') AND st = 4) AS used, operation, name, type,
  toDateTime(intDiv(landing_named.received, 1000), 'UTC') AS received
FROM landing_named ARRAY JOIN landing_named.coordinate AS co, landing_named.kind AS k, landing_named.named_type AS nt, landing_named.state AS st
WHERE record = 'shape';

CREATE MATERIALIZED VIEW schemas_view TO schemas AS
SELECT org, graph, id AS schema_version, source, sdl,
  fromUnixTimestamp64Milli(toInt64(landing_named.received), 'UTC') AS received
FROM landing_named WHERE record = 'schema';

-- Columns as they are: an expression costs each insert its planning.
CREATE MATERIALIZED VIEW {landing}_ledger_view TO ledger AS
SELECT pipeline, topic, topic_id, partition, epoch, first_offset, last_offset, org, graph, first_appended, last_appended,
  records, repeats, repeat_requests, dead_letters, tallies, landed_requests AS requests, lost_requests, lost_records,
  missing, first_time, last_time, seen_agent, seen_before, seen_after, detail
FROM {landing} WHERE record = 'range';
