"""`forebay up` as a person starts it: what is in the way gets one clear line, and nothing is harmed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from faults.load import Agent
from faults.pipeline import free_port

FOREBAY = [sys.executable, "-m", "forebay"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*FOREBAY, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


@contextmanager
def up(data: Path, port: int, *more: str, **environment: str) -> Iterator[list[str]]:
    """`forebay up`, once it answers; SIGTERM at the end.  Then the list holds what it printed."""
    command = [*FOREBAY, "up", "--data", str(data), "--port", str(port), *more]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    printed: list[str] = []
    try:
        while process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except httpx.HTTPError:
                continue
        yield printed
    finally:
        process.send_signal(signal.SIGTERM)
        printed.append(process.communicate(timeout=60)[0])
        assert process.returncode == 0


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The single line of an error."""
    assert result.returncode not in (0, None)
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("forebay: ")
    return line


def test_the_first_start_prints_settings_to_paste_and_a_restart_continues(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    with up(data, port) as first:
        token = run("token", "create", "--org", "acme", "--graph", "shop", "--data", str(data)).stdout.strip()
        agent = Agent("agent", port, token)
        agent.start()
        while agent.reports < 3:
            pass
        agent.finish()
    for hint in ("FOREBAY_TOKEN=", "Python server", "Ariadne", "GRAPHQL_METRICS_COLLECTOR_ENDPOINT="):
        assert hint in first[0]
    with up(data, port) as second:
        url = f"http://127.0.0.1:{port}"
        asked = run("clients", "Query.load", "--url", url, "--window", "1d")
        assert "agent" in asked.stdout
        assert f"{agent.requests:,}" in asked.stdout
        assert run("verify", "--url", url).returncode == 0
    assert "FOREBAY_TOKEN=" not in second[0]


def test_a_second_up_on_the_same_directory_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    with up(data, port):
        line = one_line(run("up", "--data", str(data), "--port", str(free_port())))
        assert "another Forebay is running" in line
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_a_taken_port_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        line = one_line(run("up", "--data", str(tmp_path / "data"), "--port", str(taken.getsockname()[1])))
    assert "--port" in line


def test_another_forebays_port_is_refused(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path / "one", port):
        assert "--port" in one_line(run("up", "--data", str(tmp_path / "two"), "--port", str(port)))


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("dear")
    assert "holds something else" in one_line(run("up", "--data", str(tmp_path), "--port", str(free_port())))
    assert [entry.name for entry in tmp_path.iterdir()] == ["letters"]


def test_a_directory_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "FOREBAY").write_text("forebay data directory, layout 99\n")
    assert "newer Forebay" in one_line(run("up", "--data", str(tmp_path), "--port", str(free_port())))
    (tmp_path / "FOREBAY").write_text("forebay data directory, layout 1\n")
    assert "before the first release" in one_line(run("up", "--data", str(tmp_path), "--port", str(free_port())))
    assert [entry.name for entry in tmp_path.iterdir()] == ["FOREBAY"]


def test_a_directory_that_cannot_be_written_is_refused() -> None:
    assert "cannot be used" in one_line(run("up", "--data", "/proc/forebay", "--port", str(free_port())))


def test_a_full_disk_is_refused(tmp_path: Path) -> None:
    """On a real file system of 8 MiB, in a mount namespace of its own."""
    script = f"mount -t tmpfs -o size=8m tmpfs {tmp_path} && exec {' '.join(FOREBAY)} up --data {tmp_path}/data"
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", f"{script} --port {free_port()}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "is full" in one_line(result)


@pytest.mark.parametrize("arguments", [
    ["token", "create", "--org", "a", "--graph", "b", "--ttl", "soon"],
    ["token", "create", "--org", "", "--graph", "b"],
    ["clients", "A.b", "--url", "http://127.0.0.1:9"],
    ["check", "--schema", "/nowhere.graphql"],
])  # fmt: skip
def test_a_users_mistake_is_one_line_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    result = run(*arguments, FOREBAY_DATA=str(tmp_path))
    assert result.returncode == 2
    one_line(result)


def test_check_says_by_its_exit_code_whether_anybody_breaks(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    served, without_use, without_unused = (tmp_path / f"{name}.graphql" for name in ("served", "use", "unused"))
    served.write_text("type Query { load: Int, idle: Int }")
    without_use.write_text("type Query { idle: Int }")
    without_unused.write_text("type Query { load: Int }")
    with up(data, port):
        ask = {"FOREBAY_URL": f"http://127.0.0.1:{port}", "FOREBAY_DATA": str(data)}
        token = run("token", "create", "--org", "acme", "--graph", "shop", **ask).stdout.strip()
        agent = Agent("agent", port, token, pause=0.1)
        agent.start()
        while agent.reports < 3:
            pass
        agent.finish()
        assert run("schema", "publish", str(served), "--graph", "acme/shop", **ask).returncode == 0
        while "Query.load" not in run("fields", "--client", "agent", "--window", "1d", **ask).stdout:
            pass

        def check(schema: Path) -> subprocess.CompletedProcess[str]:
            return run("check", "--schema", str(schema), "--window", "1d", **ask)

        breaking = check(without_use)
        assert (breaking.returncode, "agent" in breaking.stdout) == (1, True), breaking
        assert check(served).returncode == 0
        young = check(without_unused)  # the window starts before the first data, so nobody can know
        assert (young.returncode, "verdict: unknown" in young.stdout) == (3, True), young
        served.write_text("type Query {")
        assert check(served).returncode == 2


def test_on_any_address_but_loopback_page_api_and_metrics_demand_a_token(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    with up(data, port, "--host", "0.0.0.0") as printed:
        url = f"http://127.0.0.1:{port}"
        for path in ("/", "/api/v1/status", "/api/v1/clients?coordinate=A.b", "/metrics"):
            assert httpx.get(url + path).status_code == 401, path
        create = ["token", "create", "--org", "a", "--graph", "b", "--data", str(data)]
        write, read = (run(*create, "--scope", scope).stdout.strip() for scope in ("write", "read"))
        for path in ("/api/v1/status", "/metrics"):
            assert httpx.get(url + path, headers={"authorization": f"Bearer {write}"}).status_code == 403
            assert httpx.get(url + path, headers={"authorization": f"Bearer {read}"}).status_code == 200
    assert "0.0.0.0" not in printed[0]


def test_secrets_never_reach_what_is_printed(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    with up(data, port) as printed:
        token = run("token", "create", "--org", "a", "--graph", "b", "--data", str(data)).stdout.strip()
        httpx.post(f"http://127.0.0.1:{port}/v1/reports", headers={"authorization": f"Bearer {token}x"}, content=b"{")
        httpx.get(f"http://127.0.0.1:{port}/?token={token}")
    [out] = printed
    assert token not in out
    secret = (data / "signing-keys.json").read_text()
    assert (data / "signing-keys.json").stat().st_mode & 0o777 == 0o600
    assert all(value not in out for value in secret.split('"') if len(value) > 20)
