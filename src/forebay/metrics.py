"""Every metric of every stage, declared once with its meaning."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Gauge

REPORTS = Counter("forebay_reports", "Reports acknowledged, by protocol", ["protocol"])
REQUESTS = Counter("forebay_requests", "GraphQL requests in acknowledged reports, by protocol", ["protocol"])
REFUSED = Counter("forebay_refused", "Reports refused, by protocol and reason", ["protocol", "reason"])
ADJUSTED = Counter("forebay_adjusted", "Tallies whose time was replaced by the time of arrival, by reason", ["reason"])
LOST = Counter("forebay_agent_lost", "Requests that agents reported as lost, by reason", ["reason"])

SPILLED = Counter("forebay_spilled", "Reports acknowledged from the collector's own disk")
SPILL_RECORDS = Gauge("forebay_spill_records", "Reports in the spill that the journal has not confirmed")
SPILL_BYTES = Gauge("forebay_spill_bytes", "Bytes of the spill on disk, damaged files left out")
SPILL_AGE = Gauge("forebay_spill_oldest_seconds", "Age of the oldest report in the spill")
SPILL_REFUSED = Counter(
    "forebay_spill_refused", "Reports of the spill that the journal refuses, kept until the next start"
)
SPILL_DAMAGED = Counter("forebay_spill_damaged_bytes", "Bytes of the spill that were durable and can't be read")

LAG_RECORDS = Gauge("forebay_lag_records", "Records in the journal that are not in the store", ["topic", "partition"])
LAG_SECONDS = Gauge("forebay_lag_seconds", "Age of the oldest of them", ["topic", "partition"])
LOSS_IN = Gauge(
    "forebay_loss_in_seconds", "Time until retention may take the oldest of them; +Inf: none", ["topic", "partition"]
)
JOURNAL_UP = Gauge("forebay_journal_up", "1 while the journal answers this console, else 0")
UNDER_REPLICATED = Gauge("forebay_under_replicated", "Partitions of the journal that miss a replica", ["topic"])
STORE_STATE = Gauge("forebay_store_state", "1 for the state that the store is in, 0 for all others", ["state"])
STORE_PARTS = Gauge("forebay_store_parts", "Most active parts in one partition of a table", ["table"])
STORE_DEAD_LETTERS = Gauge("forebay_store_dead_letters", "Dead letters that the store holds", ["topic", "reason"])
STORE_LOST_RECORDS = Gauge(
    "forebay_store_lost_records", "Records on file as taken by retention before they were loaded"
)
LOADED = Gauge("forebay_loader_records", "Records loaded since this loader started")
LOADED_REQUESTS = Gauge("forebay_loader_requests", "GraphQL requests in them, repeats left out")
INSERTS = Gauge("forebay_loader_inserts", "Inserts since this loader started")
DEAD_LETTERS = Gauge("forebay_loader_dead_letters", "Records put aside since this loader started")
LOST_RECORDS = Gauge("forebay_loader_lost_records", "Records that retention took before this loader came to them")
FAILING = Gauge("forebay_loader_failing", "1 while this loader's latest attempt has failed")

ROUTED = Counter("forebay_router_answers", "Answers passed on by a router, by class of status", ["status"])
ROUTER_REFUSED = Counter("forebay_router_refused", "Requests that a router answered by itself, by reason", ["reason"])
ROUTER_CUT = Counter("forebay_router_cut", "Answers that ended before their end, by who went away", ["by"])
ROUTER_IN_FLIGHT = Gauge("forebay_router_in_flight", "Requests and WebSockets that a router has open")
ROUTER_WEBSOCKETS = Counter(
    "forebay_router_websockets", "WebSockets that a router let through, by sub-protocol", ["protocol"]
)
ROUTER_COUNTED = Counter("forebay_router_requests", "GraphQL requests that a router counted")
ROUTER_UNANALYSED = Counter(
    "forebay_router_unanalysed", "Of those, the ones whose document could not be analysed, by reason", ["reason"]
)
ROUTER_UNREAD = Counter(
    "forebay_router_unread_answers", "Answers in which no errors could be looked for, by reason", ["reason"]
)
ROUTER_FAULTS = Counter(
    "forebay_router_faults", "Faults in looking at what passes, by step; traffic flows on", ["step"]
)
ROUTER_SCHEMA = Gauge("forebay_router_schema_known", "1 if a router knows the schema, else 0")
ROUTER_SCHEMA_FAILED = Counter("forebay_router_schema_failed", "Attempts to read the schema that failed")
ROUTER_PENDING = Gauge("forebay_router_pending", "GraphQL requests counted that no collector has acknowledged yet")
ROUTER_LOST = Gauge("forebay_router_lost", "GraphQL requests that were given up, by reason; reports say so", ["reason"])


def table() -> str:
    """Every metric as rows of a Markdown table: name, labels, meaning."""
    kinds = [each for each in globals().values() if isinstance(each, (Counter, Gauge))]
    return "".join(
        f"| `{each._name}{'_total' if isinstance(each, Counter) else ''}` | {', '.join(each._labelnames)}"
        f" | {each._documentation} |\n"
        for each in kinds
    )


def refusals() -> list[dict[str, Any]]:
    """What REFUSED has counted in this process: protocol, reason, count."""
    samples = [sample for family in REFUSED.collect() for sample in family.samples if sample.name.endswith("_total")]
    return [{**sample.labels, "count": int(sample.value)} for sample in samples]
