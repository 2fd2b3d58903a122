"""`forebay explain` as people run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUPERGRAPH = """
schema @link(url: "https://specs.apollo.dev/join/v0.3") { query: Query }
enum join__Graph { A }
type Query { user(role: Role = USER): User }
type User @join__type(graph: A) { id: ID hidden: Int @inaccessible }
enum Role { USER ADMIN }
"""


def explain(folder: Path, schema: str, operation: str, *options: str) -> tuple[int, str, str]:
    (folder / "schema").write_text(schema)
    (folder / "operation").write_text(operation)
    command = [sys.executable, "-m", "forebay", "explain", "--schema", "schema", "--operation", "operation", *options]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


def test_of_a_supergraph_it_shows_what_clients_use(tmp_path: Path) -> None:
    operations = "query A { user(role: ADMIN) { id } } query B { user { id } }"
    code, out, err = explain(tmp_path, SUPERGRAPH, operations, "--name", "A", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert {entry["coordinate"] for entry in told["entries"] if entry["kind"] == "field"} == {"Query.user", "User.id"}
    assert not told["invalid"]
    assert json.loads(explain(tmp_path, SUPERGRAPH, "{ user { hidden } }", "--json")[1])["invalid"]
    _, out, _ = explain(tmp_path, SUPERGRAPH, operations)
    assert "which operation is meant" in out.replace("\n", " ")


@pytest.mark.parametrize(
    ("schema", "says"),
    [("", "it is empty"), ("type Query {", "line 1"), ("type Query { a: Nope }", "Unknown type 'Nope'")],
)
def test_what_is_no_schema_is_one_line(tmp_path: Path, schema: str, says: str) -> None:
    code, out, err = explain(tmp_path, schema, "{ a }")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
