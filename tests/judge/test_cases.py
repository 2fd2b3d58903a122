"""Cases written by hand from the rules: of each change, who breaks, who goes on working, and who can't be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forebay.agent.extract import Extractor
from forebay.insights.check_answers import Check
from forebay.insights.published import build
from forebay.insights.schema_changes import changes

from .judge import answer

CASES = json.loads((Path(__file__).parents[1] / "fixtures/cases/changes.json").read_text())["cases"]
"""An operation is its text, or a list of text, variables and perhaps the operation's name."""

EXIT_CODES = {"keeps": 0, "breaks": 1, "unknown": 3}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_change_breaks_exactly_those_whom_its_case_lists(case: dict[str, Any]) -> None:
    text = case["schema"]
    for before, after in case["change"]:
        assert before in text
        text = text.replace(before, after, 1)
    old, new = build(case["schema"], "old schema"), build(text, "new schema")
    if "changes" in case:
        found = {f"{each.kind} {each.coordinate} {each.severity}" for each in changes(old, new)}
        assert found == set(case["changes"])
    extractor = Extractor(old)

    def checked(operation: Any) -> Check:
        source, variables, *name = operation if isinstance(operation, list) else (operation, {})
        shape = extractor.operation(source, *name).shape(variables)
        assert not shape.invalid, operation
        return answer(old, new, shape)

    for verdict, code in EXIT_CODES.items():
        for operation in case.get(verdict, ()):
            assert checked(operation).exit_code == code, operation
