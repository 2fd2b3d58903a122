"""What a host may be: its signals, its clock, its proxies and certificates, its greenlets, and its idleness."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fake_collector import FakeCollector, decoded, fake_collector
from graphql import build_schema

from forebay.agent.exporter import Exporter
from forebay.agent.extract import Extractor
from forebay.agent.faults import Faults
from forebay.agent.post import Answer
from forebay.agent.recorder import Recorder, Request
from forebay.core.record import SchemaColumns

SDL = "type Query { a: Int }"
BEGIN = f"""
import os, signal, sys, time
from graphql import build_schema
from forebay.agent.reporter import Reporter
reporter = Reporter(build_schema({SDL!r}), interval=float(os.environ.get("INTERVAL", "0.1")))
"""


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


def run(program: str, url: str, first: str = "", **environment: str) -> str:
    """A host; what it printed."""
    given = {**os.environ, "FOREBAY_URL": url, "FOREBAY_TOKEN": "token", **environment}
    command = [sys.executable, "-W", "error", "-c", first + BEGIN + program]
    return subprocess.run(command, env=given, check=True, timeout=60, capture_output=True, text=True).stdout


def test_greenlets_of_gevent_record_and_flush_and_are_not_held_up(collector: FakeCollector) -> None:
    program = """
ticks = []
def work(name):
    for number in range(50):
        reporter.record("query " + name + " { a }")
        gevent.sleep(0.001)
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)
ticking = gevent.spawn(tick)
gevent.joinall([gevent.spawn(work, name) for name in "ABCD"])
before = len(ticks)
assert reporter.flush()
assert len(ticks) > before + 10
reporter.record("query Last { a }")  # the end of the process sends it
"""
    collector.faults.append("hang")  # an attempt that takes its time

    def end_it() -> None:
        while collector.faults:  # until the attempt has come
            time.sleep(0.01)
        time.sleep(0.5)
        collector.over.set()

    patched = "from gevent import monkey; monkey.patch_all()\nimport gevent\n"
    Thread(target=end_it, daemon=True).start()
    run(program, collector.url, patched)
    assert {name: count for (_, _, name, _), count in collector.usage().items()} == {
        **dict.fromkeys("ABCD", 50),
        "Last": 1,
    }


def test_a_signals_handler_may_ask_and_flush_whatever_it_interrupts(collector: FakeCollector) -> None:
    program = """
import itertools
called = itertools.count()
def handler(*_):
    next(called)
    reporter.status()
    reporter.flush(0)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    reporter.record("query Q { a }", client_version=str(time.monotonic_ns() % 100))
signal.setitimer(signal.ITIMER_REAL, 0)
assert next(called) > 50
assert reporter.close()
print(reporter.status()["recorded"])
"""
    recorded = int(run(program, collector.url))
    assert collector.requests() == recorded > 0


def test_close_in_the_handler_of_sigterm_reports_all(collector: FakeCollector) -> None:
    program = """
def handler(*_):
    print(reporter.close(), reporter.status()["recorded"], flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, handler)
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
signal.setitimer(signal.ITIMER_REAL, 0.5)
while True:
    reporter.record("query Q { a }")
    time.sleep(0.0001)
"""
    closed, recorded = run(program, collector.url).split()
    assert closed == "True"
    assert collector.requests() in (int(recorded), int(recorded) - 1)


def test_an_idle_process_sleeps(collector: FakeCollector) -> None:
    program = """
reporter.record("query A { a }")
assert reporter.flush()
def switches():
    total = 0
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            status = open(f"/proc/self/task/{task}/status").read()
            total += int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
    return total
before = switches(), time.process_time()
time.sleep(2)
print(switches() - before[0], time.process_time() - before[1])
"""
    switches, seconds = map(float, run(program, collector.url, INTERVAL="5").split())
    assert switches <= 5
    assert seconds < 0.05


def test_a_clock_that_steps_changes_minutes_and_nothing_else() -> None:
    bodies: list[bytes] = []

    def send(body: bytes, timeout: float) -> Answer:
        bodies.append(body)
        return Answer(200)

    extractor, now = cache(lambda: Extractor(build_schema(SDL))), [0.0]
    recorder = Recorder(extractor, Faults())
    columns = SchemaColumns(id="v", sdl=SDL)
    exporter = Exporter(recorder, send, lambda: columns, Faults(), clock=lambda: now[0])
    moments = [1.8e9, 1.8e9 + 86_400, 1.8e9 - 7 * 86_400, -3_600.0, 0.0, 1e15, 1.8e9]
    for moment in moments:
        now[0] = moment
        for _ in range(3):
            recorder.record(Request("query A { a }", None, None, "", "", 200, False, None, moment))
        exporter.step()
    pushes = [decoded(body) for body in bodies]
    assert [push.requests for push in pushes] == [[3]] * len(moments)
    assert [push.minute for push in pushes] == [
        [min(max(int(moment // 60), 0), 2**31)] for moment in moments
    ]  # those that are absurd are replaced on arrival
    assert [push.sequence for push in pushes] == list(range(1, len(moments) + 1))


@contextmanager
def secured(collector: FakeCollector, folder: Path) -> Iterator[str]:
    """TLS before the collector, with a certificate of a CA of its own in `ca.pem`; its address."""
    (folder / "extensions").write_text("subjectAltName=DNS:localhost")
    for command in (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout own.key -out own.csr",
        "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out own.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "own.key")
    behind = int(collector.url.rpartition(":")[2])
    with listening(lambda client: joined(context.wrap_socket(client, server_side=True), dial(behind))) as port:
        yield f"https://localhost:{port}"


@contextmanager
def connect_proxy(seen: list[str]) -> Iterator[str]:
    def tunnel(client: socket.socket) -> None:
        head = client.recv(4096).decode()
        seen.append(head.split()[1])
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        joined(client, dial(int(head.split()[1].rpartition(":")[2])))

    with listening(tunnel) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening(serve: Any) -> Iterator[int]:
    """A server that hands each connection to a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                Thread(target=attempt, args=(client,), daemon=True).start()

        def attempt(client: socket.socket) -> None:
            try:
                serve(client)
            except OSError:  # also what a handshake that fails raises
                client.close()

        Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))


def joined(one: socket.socket, other: socket.socket) -> None:
    """Bytes pass both ways until either side ends."""
    with one, other:
        while True:
            pending = [one] if isinstance(one, ssl.SSLSocket) and one.pending() else []
            for ready in pending or select.select([one, other], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (other if ready is one else one).sendall(data)


ONE = 'reporter.record("query A { a }")\nprint(reporter.close(1.5), reporter.status()["faults"])\n'


def test_a_certificate_of_ones_own_authority_is_trusted_by_the_usual_variable_and_no_other_is(
    collector: FakeCollector, tmp_path: Path
) -> None:
    with secured(collector, tmp_path) as url:
        assert run(ONE, url).startswith("False {'send':")
        assert collector.bodies == []
        assert run(ONE, url, SSL_CERT_FILE=str(tmp_path / "ca.pem")) == "True {}\n"
    assert collector.requests() == 1


def test_a_proxy_is_taken_from_the_usual_variables(collector: FakeCollector, tmp_path: Path) -> None:
    seen: list[str] = []
    with secured(collector, tmp_path) as url, connect_proxy(seen) as proxy:
        environment = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "HTTPS_PROXY": proxy}
        assert run(ONE, url, **environment) == "True {}\n"
        assert seen == [url.removeprefix("https://")]
        assert run(ONE, url, NO_PROXY="localhost", **environment) == "True {}\n"
        assert len(seen) == 1
    assert collector.requests() == 2
