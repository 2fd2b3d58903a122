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
SPILL_DAMAGED = Counter("forebay_spill_damaged_bytes", "Bytes of the spill that were durable and can't be read")


def refusals() -> list[dict[str, Any]]:
    """What REFUSED has counted in this process: protocol, reason, count."""
    samples = [sample for family in REFUSED.collect() for sample in family.samples if sample.name.endswith("_total")]
    return [{**sample.labels, "count": int(sample.value)} for sample in samples]
