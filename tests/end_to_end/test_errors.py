"""Errors and executions by field, from resolvers that raise to the answers: exact, once, and without a secret."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from faults.pipeline import Kill, Pipeline
from graphql import build_schema

from forebay.agent.integrations.graphql_core import Forebay

SECRET = "hunter2"
SCHEMA = build_schema("""
type Query { me: User  all: [User!]!  search: [Result!] }
interface Node { id: ID }
type User implements Node { id: ID  email: String }
type Device implements Node { id: ID  serial: String }
union Result = User | Device
""")
REQUESTS = [
    ("query Me { me { mail: email } }", 3),
    ("query All { all { ...Parts } } fragment Parts on User { email }", 2),
    ("query Search { search { ... on Node { id } ... on User { email } } }", 1),
    ("query Well { all { __typename } }", 5),
]


def resolve(_: Any, info: Any) -> Any:
    """Of two users, and two results whose ids can't be had."""
    if info.field_name == "email" or (info.field_name == "id" and info.path.prev.prev.key == "search"):
        raise RuntimeError(f"{SECRET} of {info.path}")
    if info.field_name in ("all", "search"):
        return [{"__typename": "User"}, {"__typename": "User" if info.field_name == "all" else "Device"}]
    return {"__typename": "User"}


def test_errors_and_executions_are_told_by_field_client_and_operation_though_the_pipeline_was_killed(
    tmp_path: Path,
) -> None:
    """SIGKILL between two inserts."""
    pipeline = Pipeline(tmp_path / "data")
    pipeline.start(Kill("loader.sent", nth=2))
    forebay = Forebay(pipeline.url, pipeline.token(), client=lambda context: (context, "1"), interval=0.2, executions=1)
    for client in ("web", "app"):
        for source, times in REQUESTS:
            for _ in range(times):
                forebay.graphql_sync(SCHEMA, source, None, client, field_resolver=resolve)
    pipeline.process.join(timeout=60)
    assert pipeline.process.exitcode == -9
    pipeline.start()
    assert forebay.close(30)
    while any(lag["lag_records"] for lag in pipeline.ask("status")["journal"]):
        time.sleep(0.05)

    answer = pipeline.ask("errors?window=1d")
    assert {row["coordinate"]: (row["errors"], row["requests"]) for row in answer["fields"]} == {
        "User.email": (2 * (3 + 2 * 2 + 1), 2 * (3 + 2 + 1)),
        "Node.id": (2 * 2, 2),
    }
    assert (answer["errors"], answer["unattributed"], answer["total"]) == (20, 0, 2)
    one = pipeline.ask("errors?coordinate=User.email&window=1d")
    assert sorted((use["client"], use["client_version"], use["name"], use["errors"]) for use in one["uses"]) == sorted(
        (client, "1", name, errors)
        for client in ("web", "app")
        for name, errors in (("Me", 3), ("All", 4), ("Search", 1))
    )
    operation = one["uses"][0]["operation"]
    assert [row["coordinate"] for row in pipeline.ask(f"errors?operation={operation}&window=1d")["fields"]] == [
        "User.email"
    ]
    assert one["executions"]["executions"] == one["executions"]["sampled"] == 16
    assert one["executions"]["failed"] == 16
    assert one["executions"]["p95"] > 0
    assert pipeline.ask("verify")["ok"]

    def forebay_errors(*arguments: str) -> str:
        command = [sys.executable, "-m", "forebay", "errors", *arguments, "--url", pipeline.url]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    assert "User.email" in forebay_errors()
    told = forebay_errors("User.email")
    assert "web 1" in told
    assert "about 16 executions, 100.0 % of them failed" in told
    assert json.loads(forebay_errors("Node.id", "--json"))["errors"] == 4
    assert pipeline.stop() == 0
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"User.email" in kept
    assert SECRET.encode() not in kept
