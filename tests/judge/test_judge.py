"""The judge, a thousand triples at a time; `make judge` runs more of them."""

from __future__ import annotations

import pytest

from .judge import judge

TRIPLES = 1_200
SEEDS = [0, 1_000_000, 2_000_000]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_breaks_when_executed_was_called_used_or_unknown(seed: int) -> None:
    print(f"seed {seed}")
    findings = judge(TRIPLES // len(SEEDS), seed)
    for triple, why in findings.false_safe:
        print(f"{triple.told()}\n=> {why}\n")
    assert not findings.false_safe
    assert findings.broke > findings.triples / 30
    assert findings.alarms.total() < findings.triples / 10
