"""Every metric of every stage, declared once with its meaning."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter

REPORTS = Counter("forebay_reports", "Reports acknowledged, by protocol", ["protocol"])
REQUESTS = Counter("forebay_requests", "GraphQL requests in acknowledged reports, by protocol", ["protocol"])
REFUSED = Counter("forebay_refused", "Reports refused, by protocol and reason", ["protocol", "reason"])
ADJUSTED = Counter("forebay_adjusted", "Tallies whose time was replaced by the time of arrival, by reason", ["reason"])
LOST = Counter("forebay_agent_lost", "Requests that agents reported as lost, by reason", ["reason"])


def refusals() -> list[dict[str, Any]]:
    """What REFUSED has counted in this process: protocol, reason, count."""
    samples = [sample for family in REFUSED.collect() for sample in family.samples if sample.name.endswith("_total")]
    return [{**sample.labels, "count": int(sample.value)} for sample in samples]
