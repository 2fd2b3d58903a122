"""A check's answer as continuous integration reads it; what clients call themselves is text everywhere."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from judge.judge import COMPLETE

from forebay.agent.extract import Extractor
from forebay.cli.check_formats import FORMATS
from forebay.core.shape import Shape
from forebay.insights.published import build
from forebay.insights.schema_check import check
from forebay.insights.seen import Seen
from forebay.insights.touches import Comparison

OLD = "type Query {\n  a: Int\n  b(x: Int): E\n}\nenum E { A }"
NEW = "type Query {\n  b(x: Int!): E\n}\nenum E { A B }"
CLIENT = 'ev|il *<img src="x">\n::error::%'


def answer(*shapes: Shape) -> Any:
    traffic = [Seen(shape.id(), shape, {(CLIENT, "1"): 3}) for shape in shapes]
    found = check(Comparison(build(OLD, "old schema"), build(NEW, "new schema")), traffic, COMPLETE)
    return json.loads(msgspec.json.encode(found))


def junit(found: Any) -> ElementTree.Element:
    return ElementTree.fromstring(FORMATS["junit"](found, "new.graphql", NEW))  # noqa: S314  our own text


@pytest.fixture
def breaks() -> Any:
    extractor = Extractor(build(OLD, "old schema"))
    return answer(extractor.operation("query Q { b }").shape({}))


def test_junit_has_a_failure_for_each_change_that_breaks_someone(breaks: Any) -> None:
    suite = junit(breaks)
    cases = {case.get("classname"): case for case in suite}
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    failure = cases["Query.b(x:)"].find("failure")
    assert failure is not None
    assert "3 requests" in str(failure.text)
    assert len(cases["Query.a"]) == 0


def test_junit_has_an_error_for_what_cannot_be_known() -> None:
    unseen = Shape("", "Big", Extractor(build(OLD, "old schema")).operation("{ a }").type, "", (), coverage=frozenset())
    found = answer(unseen)
    assert found["exit_code"] == 3
    assert junit(found).get("errors") == "2"


def test_junit_fails_whenever_the_exit_code_does() -> None:
    found = answer() | {"exit_code": 1}  # as `--fail-on breaking` has it
    assert junit(found).get("failures") == "1"


def test_github_annotates_the_line_of_what_changed_or_of_its_type(breaks: Any) -> None:
    lines = FORMATS["github"](breaks, "a,b:new.graphql", NEW).splitlines()
    assert lines[0].startswith("::error file=a%2Cb%3Anew.graphql,line=2,title=breaking%2C used%3A Query.b(x%3A)::")
    assert any("line=1,title=breaking%2C unused%3A Query.a::" in line for line in lines)
    assert lines[-1] == "::error title=Schema check::verdict: breaks"
    assert len([line for line in lines if line.startswith("::")]) == len(lines) == 4


def test_markdown_shows_names_as_text(breaks: Any) -> None:
    text = FORMATS["markdown"](breaks, "new.graphql", NEW)
    assert text.startswith("## ❌ Schema check: breaks\n")
    [row] = [line for line in text.splitlines() if line.startswith("| breaking | used")]
    assert 'ev\\|il \\*\\<img src="x"\\> ::error::% 1' in row
    assert "<img" not in text.replace("\\<", "")


def test_markdown_of_the_same_schema_says_so() -> None:
    found = answer() | {"changes": [], "verdict": "safe"}
    assert FORMATS["markdown"](found, "new.graphql", NEW).endswith("The schemas are the same.")
