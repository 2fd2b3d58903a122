-- What became of fields in execution: errors where they arose, exactly, and estimates from a sample of resolver
-- executions.  `shape` is all zeros where it does not tell, `coordinate` empty where nobody knows it.
CREATE TABLE executions (
  org LowCardinality(String) CODEC(ZSTD(3)), graph LowCardinality(String) CODEC(ZSTD(3)),
  coordinate String CODEC(ZSTD(3)), shape FixedString(16) CODEC(ZSTD(3)),
  client LowCardinality(String) CODEC(ZSTD(3)), client_version LowCardinality(String) CODEC(ZSTD(3)),
  time DateTime('UTC') CODEC(Delta, ZSTD(3)),
  requests SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  executions SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  sampled SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  failed SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(3)),
  duration SimpleAggregateFunction(sumMap, Map(UInt16, UInt64)) CODEC(ZSTD(3))
) ENGINE = AggregatingMergeTree PARTITION BY toMonday(time)
PRIMARY KEY (org, graph, coordinate, shape, client, client_version, toStartOfDay(time), toStartOfHour(time))
ORDER BY (org, graph, coordinate, shape, client, client_version, toStartOfDay(time), toStartOfHour(time), time)
TTL
  time + INTERVAL 2 DAY
    GROUP BY org, graph, coordinate, shape, client, client_version, toStartOfDay(time), toStartOfHour(time)
    SET requests = sum(requests), errors = sum(errors), executions = sum(executions), sampled = sum(sampled),
      failed = sum(failed), duration = sumMap(duration), time = min(toStartOfHour(time)),
  time + INTERVAL 45 DAY
    GROUP BY org, graph, coordinate, shape, client, client_version, toStartOfDay(time)
    SET requests = sum(requests), errors = sum(errors), executions = sum(executions), sampled = sum(sampled),
      failed = sum(failed), duration = sumMap(duration), time = min(toStartOfDay(time)),
  time + INTERVAL 800 DAY DELETE
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW executions_view TO executions AS
SELECT org, graph, co AS coordinate, unhex(s) AS shape, c AS client, cv AS client_version,
  toStartOfFiveMinutes(toDateTime(m * 60, 'UTC')) AS time, r AS requests, e AS errors, x AS executions, sa AS sampled,
  f AS failed, d AS duration
FROM landing_executions ARRAY JOIN landing_executions.executions.minute AS m,
  landing_executions.executions.coordinate AS co, landing_executions.executions.shape AS s,
  landing_executions.executions.client AS c, landing_executions.executions.client_version AS cv,
  landing_executions.executions.requests AS r, landing_executions.executions.errors AS e,
  landing_executions.executions.executions AS x, landing_executions.executions.sampled AS sa,
  landing_executions.executions.failed AS f, landing_executions.executions.duration AS d;

-- Of each day (of the epoch) the errors and the seen executions that its ranges hold.
CREATE VIEW ledger_executions AS
SELECT org, graph, toDate(toUInt16(day.1)) AS date, day.2 AS counted
FROM ledger ARRAY JOIN JSONExtractKeysAndValues(detail, 'executions', 'UInt64') AS day;
