"""A router as a process, before a real service and a whole pipeline: what was sent is what is answered."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest
from faults.pipeline import free_port
from router import raw
from router.routed import routed

from forebay.access import Identity, Scope, SigningKeys
from forebay.datadir import keys_path


@contextmanager
def forebay(port: int, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the command line, once it answers on `port`; killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except httpx.HTTPError:
                assert process.poll() is None
                sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """The last line that a process says after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=40)
    return output.strip().splitlines()[-1]


def router(service: int, collector: int, token: str, *options: str) -> Any:
    """The process, as a context, and the port that it listens on."""
    front, side = free_port(), free_port()
    arguments = [f"--upstream=http://127.0.0.1:{service}/graphql", f"--port={front}", f"--health-port={side}", *options]
    environment = {"FOREBAY_URL": f"http://127.0.0.1:{collector}", "FOREBAY_TOKEN": token}
    return front, side, forebay(side, "router", *arguments, **environment)


def test_what_passed_a_router_is_what_forebay_answers_though_the_collector_was_away(
    service: int, tmp_path: Path
) -> None:
    token = SigningKeys.load(keys_path(tmp_path)).create(Identity("default", "default", Scope.WRITE), 3600)
    up = free_port()
    front, side, started = router(service, up, token)
    with started as process:
        url = f"http://127.0.0.1:{front}/graphql"
        for number in range(30):  # nothing listens where the collector should be
            name = "web" if number % 3 else "ios"
            answer = httpx.post(url, json={"query": "query A { hello }"}, headers={"graphql-client-name": name})
            assert answer.json() == {"data": {"hello": "hello you"}}
        assert httpx.get(f"http://127.0.0.1:{side}/ready").status_code == 200
        with forebay(up, "up", f"--data={tmp_path}", f"--port={up}"):
            told = httpx.post(url, json={"query": "query B { fail }"}).json()
            assert told["errors"]
            assert ended(process) == "stopped; 0 answers were cut off, 0 counted requests were not acknowledged"
            base = f"http://127.0.0.1:{up}/api/v1"
            for _ in range(200):
                status = httpx.get(f"{base}/status").json()
                if status.get("journal") and not any(lag["lag_records"] for lag in status["journal"]):
                    break
                sleep(0.05)
            uses = httpx.get(f"{base}/clients", params={"coordinate": "Query.hello", "window": "1h"}).json()["uses"]
            assert {use["client"]: use["requests"] for use in uses} == {"web": 20, "ios": 10}
            uses = httpx.get(f"{base}/clients", params={"coordinate": "Query.fail", "window": "1h"}).json()["uses"]
            assert [(use["requests"], use["errors"]) for use in uses] == [(1, 1)]


def most_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_large_bodies_pass_in_both_directions_in_bounded_memory(tmp_path: Path) -> None:
    size, piece = 100 * 2**20, b"x" * 2**16
    taken: list[int] = []

    def serve(connection: socket.socket) -> None:
        _, body = raw.read_head(connection)
        got = len(body)
        while got < size:
            got += len(connection.recv(2**20))
        taken.append(got)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            connection.sendall(piece)

    schema = tmp_path / "schema.graphql"
    schema.write_text("type Query { a: Int }")
    with raw.upstream(serve) as port:
        front, _, started = router(port, free_port(), "t", f"--schema={schema}")
        with started as process, raw.connect(front) as client:
            before = most_memory(process.pid)
            head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            client.sendall((head % size).encode())
            for _ in range(size // len(piece)):
                client.sendall(piece)
            _, body = raw.read_head(client)
            got = len(body)
            while got < size:
                got += len(client.recv(2**20))
            assert (got, taken) == (size, [size])
            assert most_memory(process.pid) - before < 32 * 2**20


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        ([], {"FOREBAY_URL": "http://x", "FOREBAY_TOKEN": "t"}, "name the upstream by --upstream"),
        (
            ["--upstream=http://x/graphql"],
            {"FOREBAY_URL": "", "FOREBAY_TOKEN": ""},
            "name the collector in FOREBAY_URL",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], environment: dict[str, str], complaint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "forebay", "router", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"forebay: {complaint}")
    assert len(done.stderr.splitlines()) == 1


def test_secrets_that_pass_are_not_in_what_is_said_or_reported(service: int) -> None:
    secret = "s3cr3t-value"
    with routed(service, schema=None) as made:
        variables = {"n": secret}
        headers = {"authorization": secret, "cookie": secret, "x-any": secret}
        query = f'query A($n: String!) {{ hello(name: $n) b: hello(name: "{secret}") nothing }} # {secret}'
        for sent in (query, query.replace("nothing", "")):
            content = json.dumps({"query": sent, "variables": variables})
            httpx.post(f"{made.url}/graphql", content=content, headers={"content-type": "application/json", **headers})
        httpx.post(f"{made.url}/graphql?token={secret}", content=f'"{secret}', headers=headers)
        made.usage()
        assert made.collector.bodies
        assert not any(secret.encode() in gzip.decompress(body) for body in made.collector.bodies)
        for path in ("metrics", "health"):
            assert secret not in httpx.get(f"http://127.0.0.1:{made.side}/{path}").text
