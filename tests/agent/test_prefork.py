"""gunicorns and uWSGIs of four workers, whose workers come and go under load: what was answered is what counts."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from fake_collector import decoded
from faults.pipeline import Pipeline, free_port
from faulty_proxy import Proxy, faulty_proxy
from test_outages import counted

HERE = Path(__file__).parent
QUERY = json.dumps({"query": "query A { a }"})


class Load:
    """Clients of one host: what each of its workers has answered, and when."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered: list[tuple[float, str]] = []
        self.unanswered = 0
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(6)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def workers(self, since: float) -> set[str]:
        return {worker for moment, worker in list(self.answered) if moment >= since}

    def _ask(self) -> None:
        while not self._stopping.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("POST", "/graphql", QUERY, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.answered.append((time.time(), answer.getheader("Worker") or ""))
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                time.sleep(0.01)
            finally:
                connection.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def replace_one(loads: list[Load], proxy: Proxy, number: int, fault: str = "") -> set[str]:
    """End one worker of each host, once all have answered and it has reported; gunicorn starts another."""
    begun = time.time()
    until(lambda: all(len(load.workers(begun)) == 4 for load in loads))
    victims = {min(load.workers(begun)) for load in loads}
    until(lambda: all(len(arrivals(proxy.bodies).get(victim, ())) >= 2 for victim in victims))
    proxy.fault = fault
    if fault:
        proxy.until(lambda: proxy.seen[fault, 0], 2)
    for victim in victims:
        os.kill(int(victim), number)
    until(lambda: not any(Path("/proc", victim).exists() for victim in victims))
    proxy.fault = ""
    return victims


@contextmanager
def gunicorn(port: int, url: str, token: str, spool: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gunicorn", "prefork_app:application", "--workers=4", f"--bind=127.0.0.1:{port}"]
    more = [f"--chdir={HERE}", "--no-control-socket", "--log-level=error", *options]
    environment = {**os.environ, "FOREBAY_URL": url, "FOREBAY_TOKEN": token, "FOREBAY_SPOOL": str(spool)}
    process = subprocess.Popen([*command, *more], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def uwsgi(port: int, url: str, token: str, fifo: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Ended when its workers are done with what they do; told to by a signal it cuts them off."""
    own = "import sys, pyuwsgi; sys.argv[0] = 'uwsgi'; pyuwsgi.run()"
    command = [sys.executable, "-c", own, "--master", "--processes=4", f"--http-socket=127.0.0.1:{port}"]
    more = [f"--chdir={HERE}", f"--master-fifo={fifo}", f"--binary-path={sys.executable}", "--disable-logging"]
    environment = {**os.environ, "FOREBAY_URL": url, "FOREBAY_TOKEN": token}
    process = subprocess.Popen([*command, *more, *options], env=environment)
    try:
        yield process
        fifo.write_text("q")
        process.wait(60)
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(tmp_path / "data")
    pipeline.start()
    yield pipeline
    assert pipeline.stop() == 0


def test_two_prefork_hosts_with_workers_that_restart_are_counted_exactly_and_sigkill_loses_what_was_not_sealed(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    token = pipeline.token(graph="prefork")
    loads = [Load(free_port()) for _ in range(2)]
    with (
        faulty_proxy(pipeline.port) as proxy,
        gunicorn(loads[0].port, proxy.url, token, tmp_path / "spool", "--preload"),
        gunicorn(loads[1].port, proxy.url, token, tmp_path / "spool"),
    ):
        for load in loads:
            load.start()
        try:
            replace_one(loads, proxy, signal.SIGTERM)
            replace_one(loads, proxy, signal.SIGTERM, fault="cut")
            killed = replace_one(loads, proxy, signal.SIGKILL)
            dead_since = time.time()
        finally:
            for load in loads:
                load.stop()
    ledger = Counter(worker for load in loads for _, worker in load.answered)
    told = counted(pipeline, "prefork")
    assert len(ledger) >= 12  # eight, and those that took the places of six, as far as they came to answer
    assert {worker: told[worker] for worker in ledger if worker not in killed} == {
        worker: count for worker, count in ledger.items() if worker not in killed
    }
    for worker in killed:
        # What was answered before a report arrived was recorded before the next one was sealed.
        *_, before_last, _ = [moment for moment in arrivals(proxy.bodies)[worker] if moment < dead_since]
        unsealed = sum(one == worker and moment >= before_last for load in loads for moment, one in load.answered)
        assert 0 <= ledger[worker] - told[worker] <= unsealed


@pytest.mark.skipif(not find_spec("pyuwsgi"), reason="Linux only")
@pytest.mark.parametrize(
    ("app", "option", "preloads"),
    [
        ("preloaded_app", "--enable-threads", 2),  # by the master, which is the same process once it has reloaded
        ("preloaded_app", "--py-call-uwsgi-fork-hooks", 2),
        ("prefork_app", "--lazy-apps", 0),
        ("prefork_app", "--gevent=50", 0),
    ],
)
def test_uwsgi_which_forks_without_pythons_hooks_is_counted_exactly_through_a_graceful_reload(
    pipeline: Pipeline, tmp_path: Path, app: str, option: str, preloads: int
) -> None:
    load = Load(free_port())
    module = f"--module={app}:application"
    token = pipeline.token(graph="uwsgi")
    with (
        faulty_proxy(pipeline.port) as proxy,
        uwsgi(load.port, proxy.url, token, tmp_path / "fifo", module, option) as master,
    ):
        load.start()
        try:
            until(lambda: len(load.workers(0)) == 4)
            if preloads:  # uWSGI runs nothing before its master is replaced, nor at its end
                until(lambda: len(arrivals(proxy.bodies).get(str(master.pid), ())) == 1)
            master.send_signal(signal.SIGHUP)
            until(lambda: len(load.workers(0)) == 8)
            until(lambda: len(arrivals(proxy.bodies).get(str(master.pid), ())) == preloads)
        finally:
            load.stop()
    ledger = {**Counter(worker for _, worker in load.answered)}
    if preloads:
        ledger[str(master.pid)] = preloads
    assert counted(pipeline, "uwsgi") == ledger


def arrivals(bodies: list[tuple[float, bytes]]) -> dict[str, list[float]]:
    """When reports of each worker first arrived; a worker is the client that its report names."""
    found: dict[str, list[float]] = {}
    for body, moment in {body: moment for moment, body in reversed(bodies)}.items():
        for client in set(decoded(body).client):
            found.setdefault(client, []).append(moment)
    return {client: sorted(moments) for client, moments in found.items()}
