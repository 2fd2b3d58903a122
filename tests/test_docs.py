"""Documentation that points somewhere points at something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "faults" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_promise_names_the_test_that_proves_it() -> None:
    rows = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| **")]
    assert len(rows) >= 10
    assert all("](../tests/" in row for row in rows)
