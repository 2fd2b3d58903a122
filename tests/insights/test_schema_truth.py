"""Changes and affected operations, against answers found with graphql-js as the judge (`fixtures/truth`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forebay.agent.extract import Extractor
from forebay.insights.place_changes import Severity
from forebay.insights.published import build
from forebay.insights.schema_changes import changes
from forebay.insights.schema_impact import Judge
from forebay.insights.touches import Comparison
from forebay.insights.type_changes import Hit

TRUTH = Path(__file__).parents[1] / "fixtures" / "truth" / "schema_changes.json"
CASES: list[dict[str, Any]] = json.loads(TRUTH.read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_change_has_the_kind_place_and_severity_of_the_truth(case: dict[str, Any]) -> None:
    found = {
        (change.kind, change.coordinate, change.severity.value, change.detail)
        for change in changes(build(case["old"], "old schema"), build(case["new"], "new schema"))
    }
    expected = {
        (change["kind"], change["coordinate"], change["severity"], change.get("detail", ""))
        for change in case["expected"]
    }
    assert {change[:3] for change in found} == {change[:3] for change in expected}
    assert {change for change in expected if change[3]} <= found


OPERATIONS = [
    pytest.param(case, operation, id=f"{case['name']}-{number}")
    for case in CASES
    for number, operation in enumerate(case["operations"])
]


@pytest.mark.parametrize(("case", "operation"), OPERATIONS)
def test_an_operation_is_broken_exactly_where_the_truth_says_so(
    case: dict[str, Any], operation: dict[str, Any]
) -> None:
    old, new = build(case["old"], "old schema"), build(case["new"], "new schema")
    compared = Comparison(old, new)
    found = compared.changes
    shape = Extractor(old).operation(operation["operation"]).shape(operation["variables"])
    [impact] = Judge(compared).judge([shape])
    breaking = [effect for number, effect in impact.effects.items() if found[number].severity is Severity.BREAKING]
    assert not impact.unexplained
    assert (Hit.YES in [effect.hit for effect in breaking]) is operation["affected"]
    assert Hit.MAYBE not in [effect.hit for effect in breaking]
