"""The check on graphql-core 3.2, which takes defaults that are not of their type, and until 3.2.6 knows no `@oneOf`."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import version_info

from forebay.agent.extract import Extractor
from forebay.insights.published import build
from forebay.insights.schema_impact import Judge
from forebay.insights.touches import Comparison
from forebay.insights.type_changes import Hit

ENUM = "enum E { A B } input F { e: E! = A } type Query { q(f: F): Int }"
ONE_OF = "directive @oneOf on INPUT_OBJECT input F { a: Int b: Int } type Query { q(f: F): Int }"
CASES: list[tuple[str, tuple[str, str], str, Any, bool]] = [
    (ENUM, ("A B", "B"), "query ($f: F) { q(f: $f) }", {"f": {}}, True),
    (ENUM, ("A B", "B"), "query ($f: F) { q(f: $f) }", {"f": {"e": "B"}}, False),
    (ENUM, ("A B", "A"), "query ($f: F) { q(f: $f) }", {"f": {}}, False),
    (ONE_OF, ("input F", "input F @oneOf"), "{ q(f: {a: 1, b: 2}) }", {}, True),
    (ONE_OF, ("input F", "input F @oneOf"), "{ q(f: {a: 1}) }", {}, False),
    (ONE_OF, ("input F", "input F @oneOf"), "query ($f: F) { q(f: $f) }", {"f": {"a": 1, "b": 2}}, True),
]


@pytest.mark.parametrize(("sdl", "change", "source", "variables", "affected"), CASES)
def test_a_check_on_an_older_graphql_core_misses_nothing(
    sdl: str, change: tuple[str, str], source: str, variables: Any, affected: bool
) -> None:
    assert version_info < (3, 3)
    compared = Comparison(build(sdl, "old schema"), build(sdl.replace(*change), "new schema"))
    shape = Extractor(compared.schemas.old).operation(source).shape(variables)
    [impact] = Judge(compared).judge([shape])
    assert any(effect.hit is Hit.YES for effect in impact.effects.values()) is affected
