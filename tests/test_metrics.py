"""Metrics are declared once; the documentation says the same."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

from forebay import metrics

DOCS = Path(__file__).parent.parent / "docs"


def test_the_documentation_lists_every_metric_as_it_is_declared() -> None:
    assert metrics.table() in (DOCS / "metrics.md").read_text()


def test_every_metric_of_ours_is_declared_there_and_has_a_meaning() -> None:
    registered = {family.name for family in REGISTRY.collect() if family.name.startswith("forebay_")}
    rows = [row.split("|") for row in metrics.table().splitlines()]
    assert {row[1].strip(" `").removesuffix("_total") for row in rows} == registered
    assert all(len(row[3].split()) > 2 for row in rows)


def test_what_the_alarms_speak_of_is_a_metric() -> None:
    known = {row.split("`")[1] for row in metrics.table().splitlines()}
    named = set(re.findall(r"`(forebay_\w+)`", (DOCS / "operating.md").read_text()))
    assert named
    assert {name for name in named if not name.endswith("_")} <= known
