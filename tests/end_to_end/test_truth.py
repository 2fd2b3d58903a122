"""The truth from end to end: agent, collector, journal, loader, store, check over HTTP; one graph for each case."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.pipeline import Pipeline
from graphql import build_schema

from forebay.agent.extract import Extractor
from forebay.agent.reporter import Reporter
from forebay.core.coordinate import Kind, State

TRUTH = Path(__file__).parents[1] / "fixtures" / "truth"
CHANGES: list[dict[str, Any]] = json.loads((TRUTH / "schema_changes.json").read_text())["cases"]
CORNERS: list[dict[str, Any]] = json.loads((TRUTH / "corners.json").read_text())["cases"]
EXTRACTION: dict[str, Any] = json.loads((TRUTH / "extraction.json").read_text())
LONG_AGO = 60 * 86_400  # before every window, which is complete only then


def corner(case: dict[str, Any]) -> dict[str, Any]:
    """A corner as a case of schema changes."""
    new = case["schema"].replace(*case["change"])
    return {**case, "old": case["schema"], "new": new, "operations": [{**case, "affected": bool(case["breaks"])}]}


CASES = [*(case for case in CHANGES if case["operations"]), *map(corner, CORNERS)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """`forebay up`, with the traffic of every case loaded."""
    pipeline = Pipeline(tmp_path_factory.mktemp("truth") / "data")
    pipeline.start()
    for number, case in enumerate(CASES):
        requests = [(each["operation"], None, each["variables"]) for each in case["operations"]]
        send(pipeline, f"case{number}", case["old"], requests)
    for name, sdl in EXTRACTION["schemas"].items():
        cases = [each for each in EXTRACTION["cases"] if each["schema"] == name]
        send(pipeline, name, sdl, [(each["operation"], each["operation_name"], each["variables"]) for each in cases])
    while any(lag["lag_records"] for lag in pipeline.ask("status")["journal"]):
        time.sleep(0.05)
    yield pipeline
    assert pipeline.stop() == 0


def send(pipeline: Pipeline, graph: str, sdl: str, requests: Sequence[tuple[str, str | None, Any]]) -> None:
    """Each request by a client of its own, after one of long ago that uses nothing."""
    reporter = Reporter(build_schema(sdl), pipeline.url, pipeline.token(graph=graph))
    reporter.record("{ __typename }", client="first", now=time.time() - LONG_AGO)
    for number, (source, name, variables) in enumerate(requests):
        reporter.record(source, name, variables, client=f"client{number}")
    assert reporter.close(30)


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=[case["name"] for case in CASES])
def test_an_operation_is_affected_exactly_where_the_truth_says_so(
    pipeline: Pipeline, number: int, case: dict[str, Any]
) -> None:
    body = {"schema": case["new"], "against": case["old"], "window": "30d"}
    url = f"{pipeline.url}/api/v1/check?org=acme&graph=case{number}"
    answer = httpx.post(url, json=body, timeout=60).raise_for_status().json()
    assert answer["about"]["complete"], answer["about"]
    affected = {
        client
        for change in answer["changes"]
        if change["severity"] == "breaking" and change["verdict"] != "unused"
        for operation in change["operations"]
        for client in operation["clients"]
    }
    assert affected == {f"client{n}" for n, each in enumerate(case["operations"]) if each["affected"]}
    if "answer" in case:
        assert answer["verdict"] == case["answer"]
    assert (answer["exit_code"] == 0) is not bool(affected)


@pytest.mark.parametrize("schema", EXTRACTION["schemas"])
def test_a_client_is_shown_exactly_what_its_operation_uses(pipeline: Pipeline, schema: str) -> None:
    extractor = Extractor(build_schema(EXTRACTION["schemas"][schema]))
    cases = [each for each in EXTRACTION["cases"] if each["schema"] == schema]
    assert cases
    for number, case in enumerate(cases):
        shape = extractor.operation(case["operation"], case["operation_name"]).shape(case["variables"])
        answer = pipeline.ask(f"fields?org=acme&graph={schema}&client=client{number}&window=1d")
        shown = {(each["kind"], each["coordinate"]) for each in answer["uses"]}
        assert shown == {
            (entry.kind.value, entry.coordinate)
            for entry in shape.entries
            if not (entry.kind in (Kind.ARGUMENT, Kind.INPUT) and entry.state == State.ABSENT)
        }, case["name"]
        certain = {
            (each["kind"], each["coordinate"]) for each in case["expected"]["coordinates"] if not each.get("null")
        }
        assert certain <= shown, case["name"]


def test_of_versions_that_are_served_side_by_side_none_is_forgotten(pipeline: Pipeline) -> None:
    """The newer one is what was published last, and is about to be changed no more."""
    older, newer = "type Query { a: Int b: Int }", "type Query { a: Int }"
    for sdl in (older, newer):
        send(pipeline, "canary", sdl, [("{ a }" if sdl is newer else "{ a b }", None, None)])
    while any(lag["lag_records"] for lag in pipeline.ask("status")["journal"]):
        time.sleep(0.05)
    url = f"{pipeline.url}/api/v1/check?org=acme&graph=canary"
    answers = [httpx.post(url, json={"schema": newer} | more, timeout=60).json() for more in ({}, {"against": newer})]
    assert [(each["verdict"], each["exit_code"]) for each in answers] == [("breaks", 1), ("safe", 0)]
    [change] = answers[0]["changes"]
    assert (change["coordinate"], change["requests"]) == ("Query.b", 1)
    assert "which is served as well" in change["message"]


def test_the_command_line_checks_marks_and_prints_what_continuous_integration_reads(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    number = next(number for number, case in enumerate(CASES) if case["name"] == "a field that became a list")
    old, new = tmp_path / "old.graphql", tmp_path / "new.graphql"
    old.write_text(CASES[number]["old"])
    new.write_text(CASES[number]["new"])

    def forebay(*arguments: str) -> tuple[int, str]:
        where = ("--url", pipeline.url, "--graph", f"acme/case{number}")
        result = subprocess.run(
            [sys.executable, "-m", "forebay", *arguments, *where], capture_output=True, text=True, timeout=60
        )
        return result.returncode, result.stdout + result.stderr

    check = ("check", "--schema", str(new), "--against", str(old), "--window", "1d")
    code, text = forebay(*check, "--format", "json")
    [change] = json.loads(text)["changes"]
    [operation] = change["operations"]
    assert code == 1
    assert forebay(*check, "--format", "markdown")[1].startswith("## ❌")
    assert "::error file=" in forebay(*check, "--format", "github")[1]
    assert 'failures="1"' in forebay(*check, "--format", "junit")[1]
    assert forebay(*check, "--exclude-client", "client0")[0] == 0
    assert forebay(*check, "--min-requests", "2")[0] == 0
    for made, code in (("add", 0), ("revoke", 1)):
        marked = ("marks", made, change["id"], operation["operation"], "--reason", "they know", "--author", "ann")
        assert forebay(*marked)[0] == 0
        assert forebay(*check)[0] == code
    assert "they know" in forebay("marks", "list")[1]
    assert forebay("check", "--schema", str(old))[0] == 0
    assert forebay("check", "--schema", str(old), "--window", "forever")[0] == 2
    assert forebay("marks", "revoke", "x", "y", "--reason", "z", "--author", "ann")[0] == 2
    new.write_text("type Query { a: Foo }\ntype X { b: Bar }")
    code, text = forebay("check", "--schema", str(new))
    assert (code, text.count("line ")) == (2, 2), text
