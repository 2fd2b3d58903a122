"""Statements with which ClickHouse pulls the journal's topics by itself, through its Kafka engine.

Instead of the loader, never beside it: both would count.  **At least once**: ClickHouse commits
offsets after it has inserted, so whatever it inserted and had not yet committed when it stopped
comes again, and a report that an agent sends twice counts twice.  There is no ledger, so
`forebay verify` has nothing to compare and no answer is ever complete.
"""

from __future__ import annotations

from ..core.record import SCHEMAS, SHAPES, TALLIES
from . import landing

PULLS = {
    "pull_reports": ({"pull_reports_view": landing.REPORTS, "pull_executions_view": landing.EXECUTIONS}, (TALLIES,)),
    "pull_named": ({"pull_named_view": landing.NAMED}, (SHAPES, SCHEMAS)),
}
"""Kafka table → the landing tables that it feeds, by the view that does, and its topics."""

REFUSED = """
CREATE TABLE IF NOT EXISTS pull_refused (
  topic LowCardinality(String), partition UInt32, offset Int64, seen DateTime('UTC') DEFAULT now(),
  error String, raw String CODEC(ZSTD(3))
) ENGINE = MergeTree ORDER BY (topic, partition, offset) TTL seen + INTERVAL 800 DAY
SETTINGS non_replicated_deduplication_window = {window}
"""


def pull_kafka_engine(brokers: str, group: str, consumers: int = 1, window: int = 10_000) -> list[str]:
    """What to run, in this order, inside the store's database after `migrate`; each may be repeated.

    `brokers` is `host:port,…`, `group` the consumer group, `consumers` how many per topic (no more
    than it has partitions), `window` what `migrate` gives the other tables.  Credentials belong
    into the server's configuration (`<kafka>`), not into a statement.

    What is no JSON of a record goes to `pull_refused`, raw, and holds up nothing.
    """
    statements = [" ".join(REFUSED.format(window=window).split())]
    for name, (views, topics) in PULLS.items():
        columns: dict[str, str] = {}
        for into in views.values():
            columns |= landing.RECORDS[into]
        typed = ", ".join(f"`{column}` {type_}" for column, type_ in columns.items())
        settings = {
            "kafka_broker_list": brokers,
            "kafka_topic_list": ",".join(topics),
            "kafka_group_name": group,
            "kafka_format": "JSONEachRow",
            "kafka_handle_error_mode": "stream",  # _error and _raw_message, rather than to stand still
        }
        texts = [f"{key} = {_quoted(value)}" for key, value in settings.items()]
        statements += [
            f"CREATE TABLE IF NOT EXISTS {name} ({typed}) ENGINE = Kafka"
            f" SETTINGS {', '.join(texts)}, kafka_num_consumers = {consumers:d}",
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name}_refused TO pull_refused AS {refused(name)}",
            *(
                f"CREATE MATERIALIZED VIEW IF NOT EXISTS {view} TO {into} AS {taken(name, into)}"
                for view, into in views.items()
            ),
        ]
    return statements


def taken(name: str, into: str) -> str:
    """The records of a Kafka table, as a landing table takes them: that of executions only those which have any."""
    some = " AND notEmpty(executions.minute)" if into == landing.EXECUTIONS else ""
    return f"SELECT {', '.join(landing.RECORDS[into])} FROM {name} WHERE _error = ''{some}"


def refused(name: str) -> str:
    """What of a Kafka table could not be read."""
    return (
        "SELECT _topic AS topic, _partition AS partition, _offset AS offset, _error AS error, _raw_message AS raw"
        f" FROM {name} WHERE _error != ''"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
