"""The spool: what a process leaves on disk is sent by the next one, once, and a bad disk harms nobody."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from broken import broken
from fake_collector import FakeCollector, fake_collector
from graphql import build_schema

from forebay.access import Identity, Scope, SigningKeys
from forebay.agent.exporter import Bounds
from forebay.agent.reporter import Reporter
from forebay.agent.sealed import Sealed, seal
from forebay.agent.spool import Spool, folder_of
from forebay.agent.worker import Worker
from forebay.core import wire
from forebay.core.record import columns_of
from forebay.errors import RejectRecord

SDL = "type Query { a: Int b: Int }"
SCHEMA = build_schema(SDL)
QUICK = Bounds(timeout=1, first_pause=0.02, last_pause=0.05)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


def reporter(url: str, directory: Path, schema: Any = SCHEMA, **options: Any) -> Reporter:
    return Reporter(schema, url, "token", **{"interval": 0.05, "spool": directory, "bounds": QUICK, **options})


def report(requests: int, agent: str = "a", sequence: int = 1) -> Sealed:
    columns: Any = columns_of({(1, "", "0" * 32, "", "", 200): (requests, 0, {})})
    return seal(wire.Push(**columns, agent=agent, sequence=sequence))


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def until_saved(directory: Path) -> None:
    """Until a process that is having an outage has replaced its file."""
    before = [path.stat().st_mtime_ns for path in directory.rglob("*.spool")]
    deadline = time.monotonic() + 20
    while (now := [path.stat().st_mtime_ns for path in directory.rglob("*.spool")]) == before or not now:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assert_numbered(collector: FakeCollector) -> None:
    numbers: dict[str, list[int]] = {}
    for agent, sequence in collector.pushes:
        numbers.setdefault(agent, []).append(sequence)
    assert all(sorted(held) == list(range(1, len(held) + 1)) for held in numbers.values())


def test_what_is_open_when_a_reporter_is_closed_is_sent_by_the_next_one_with_its_own_schema(
    collector: FakeCollector, tmp_path: Path
) -> None:
    first = reporter(NOWHERE, tmp_path)
    for version in range(30):
        first.record("query A { a b }", client_version=str(version % 3))
    assert not first.close(0.3)
    [path] = files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    second = reporter(collector.url, tmp_path, build_schema("type Query { a: Int }"))
    second.record("query B { a }")
    assert second.close()
    assert sum(collector.usage().values()) == 31
    assert collector.usage()["", "0", "A", False] == 10
    assert len({version for push in collector.pushes.values() for version in push.schema_version}) == 2
    assert len({schema.id for push in collector.pushes.values() for schema in push.schemas}) == 2
    assert_numbered(collector)
    status = second.status()
    assert (status["recorded"], status["acknowledged"], status["pending"]) == (31, 31, 0)
    assert files(tmp_path) == []


def test_a_reporter_that_was_closed_while_it_was_sending_leaves_one_file(
    collector: FakeCollector, tmp_path: Path
) -> None:
    collector.faults.append("hang")
    one = reporter(collector.url, tmp_path)
    one.record("query A { a }")
    deadline = time.monotonic() + 10
    while not collector.bodies and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not one.close(0)
    [path] = files(tmp_path)
    collector.over.set()  # the attempt fails, and what follows it in the background must not write
    while not one.status()["faults"] and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.1)
    assert files(tmp_path) == [path]


def test_no_value_of_a_variable_or_literal_is_on_disk_and_neither_is_the_token(tmp_path: Path) -> None:
    schema = build_schema("type Query { user(id: ID, role: Role): Int } enum Role { ADMIN }")
    one = Reporter(schema, NOWHERE, "t0ken", interval=0.05, spool=tmp_path, bounds=QUICK)
    for variables in ({"id": "hunter2"}, {"role": "hunter2"}, {"hunter2": {"x": "hunter2"}}):
        one.record("query S($id: ID, $role: Role) { user(id: $id, role: $role) }", "S", variables, errors=True)
        one.record('query { user(id: "hunter2") }')
        one.record('query { user(id: "hunter2") { hunter', None, variables)
    one.close(0.3)
    [path] = files(tmp_path)
    assert not any(secret in str(path).encode() + path.read_bytes() for secret in (b"hunter2", b"t0ken"))
    for report in Spool(path.parent, 10**9).adopt():
        assert report.requests == 9
        assert not any(secret in gzip.decompress(report.body) for secret in (b"hunter2", b"t0ken"))


def test_nothing_stays_on_disk_of_what_was_acknowledged(collector: FakeCollector, tmp_path: Path) -> None:
    one = reporter(collector.url, tmp_path)
    one.record("query A { a }")
    assert one.flush()
    assert files(tmp_path) == []
    assert one.close()


def test_the_end_of_a_process_and_the_end_of_a_child_of_multiprocessing_leave_what_they_have(
    collector: FakeCollector, tmp_path: Path
) -> None:
    program = f"""
import multiprocessing
from graphql import build_schema
from forebay.agent import reporter as module
module.FLUSH_AT_EXIT = 0.2
def work(name):
    reporter = module.Reporter(build_schema({SDL!r}), {NOWHERE!r}, "token", spool={str(tmp_path)!r})
    reporter.record("query " + name + " {{ a }}")
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=work, args=(method,))
        child.start()
        child.join()
        assert child.exitcode == 0
    work("main")
"""
    (tmp_path / "program.py").write_text(program)
    subprocess.run([sys.executable, str(tmp_path / "program.py")], check=True, timeout=60)
    one = reporter(collector.url, tmp_path)
    one.record("query Last { a }")
    assert one.close()
    names = ("fork", "spawn", "forkserver", "main", "Last")
    assert collector.usage() == {("", "", name, False): 1 for name in names}


def test_what_was_saved_during_an_outage_outlives_sigkill(collector: FakeCollector, tmp_path: Path) -> None:
    program = f"""
import time
from graphql import build_schema
from forebay.agent.reporter import Reporter
reporter = Reporter(build_schema({SDL!r}), {NOWHERE!r}, "token", interval=0.05, spool={str(tmp_path)!r})
for number in range(100):
    reporter.record("query A {{ a }}")
    time.sleep(0.005)
print("done", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2):  # the second one began after the last request
        until_saved(tmp_path)
    process.kill()
    process.communicate()
    one = reporter(collector.url, tmp_path)
    one.record("query B { a }")
    assert one.close()
    assert collector.usage() == {("", "", "A", False): 100, ("", "", "B", False): 1}
    assert_numbered(collector)


def test_each_file_is_taken_over_by_exactly_one_of_many(tmp_path: Path) -> None:
    for number in range(20):
        dead = Spool(tmp_path, 10**9)
        dead.hold([report(number + 1, f"agent{number}")])
        dead.forget()
    living = Spool(tmp_path, 10**9)
    living.hold([report(1000, "alive")])

    def adopt(_: int) -> list[int]:
        spools, requests = [], []
        while reports := (spool := Spool(tmp_path, 10**9)).adopt():
            spools.append(spool)
            requests += [each.requests for each in reports]
        for spool in spools:
            spool.drop()
        return requests

    with ThreadPoolExecutor(8) as pool:
        adopted = [requests for each in pool.map(adopt, range(8)) for requests in each]
    assert sorted(adopted) == list(range(1, 21))
    assert len(files(tmp_path)) == 1
    living.drop()


def test_a_file_is_replaced_as_a_whole_and_what_a_killed_process_wrote_beside_it_is_swept(tmp_path: Path) -> None:
    one = Spool(tmp_path, 10**9)
    one.hold([report(1)])
    one.hold([report(2), report(3, sequence=2)])
    [path] = files(tmp_path)
    path.with_suffix(".new").write_bytes(b"half a fi")
    one.forget()
    two = Spool(tmp_path, 10**9)
    assert [each.requests for each in two.adopt()] == [2, 3]
    assert files(tmp_path) == [path]


@pytest.mark.parametrize("rubbish", [b"", b"forebay spool 1\n", b"forebay spool 1\n" + bytes(40), "cut", "flipped"])
def test_rubbish_is_put_aside_and_told_as_lost(collector: FakeCollector, tmp_path: Path, rubbish: Any) -> None:
    spool = Spool(tmp_path / folder_of("token"), 10**9)
    spool.hold([report(5, sequence=1)])
    [path] = files(tmp_path)
    content = path.read_bytes()
    spool.forget()
    if rubbish == "cut":
        rubbish = content[:-1]
    elif rubbish == "flipped":
        rubbish = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
    path.write_bytes(rubbish)
    one = reporter(collector.url, tmp_path)
    one.record("query A { a }")
    assert one.close()
    assert collector.requests() == 1
    assert collector.lost() == one.status()["lost"] == {"spool": 1}
    assert files(tmp_path) == [path.with_suffix(".damaged")]


def test_a_file_of_a_newer_forebay_and_what_is_not_its_own_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "newer.spool").write_bytes(b"forebay spool 2\nwho knows")
    (tmp_path / "letters.txt").write_text("dear")
    assert Spool(tmp_path, 10**9).adopt() == []
    assert sorted(path.name for path in files(tmp_path)) == ["letters.txt", "newer.spool"]


def test_a_damaged_file_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "x.spool").write_bytes(b"rubbish")
    with pytest.raises(RejectRecord, match="put aside"):
        Spool(tmp_path, 10**9).adopt()
    assert Spool(tmp_path, 10**9).adopt() == []


def test_what_has_no_room_on_disk_is_told_as_lost_by_the_next_process(collector: FakeCollector, tmp_path: Path) -> None:
    small = Bounds(tallies=5, spool=1500, timeout=1, first_pause=0.02, last_pause=0.05)
    first = reporter(NOWHERE, tmp_path, bounds=small)
    for version in range(40):
        first.record("query A { a }", client_version=str(version))
    assert not first.close(0.3)
    assert sum(path.stat().st_size for path in files(tmp_path)) < 2000
    second = reporter(collector.url, tmp_path)
    second.record("query B { a }")
    assert second.close()
    assert collector.requests() + collector.lost()["spool"] == 41
    assert 0 < collector.lost()["spool"] < 40
    assert second.status()["lost"] == dict(collector.lost())
    assert_numbered(collector)


def test_a_directory_that_cannot_be_used_costs_a_fault_and_no_count(collector: FakeCollector) -> None:
    one = reporter(collector.url, Path("/proc/forebay"))
    one.record("query A { a }")
    assert one.close()
    assert collector.requests() == 1
    assert one.status()["faults"]["spool"] > 0


@pytest.mark.parametrize("step", ["hold", "adopt", "drop", "_fitting"])
def test_a_spool_that_is_broken_in_whatever_way_holds_up_no_report(
    collector: FakeCollector, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "after_fault", 0.05)
    with broken((Spool, step)) as reached:
        one = reporter(collector.url, tmp_path)
        for _ in range(3):
            one.record("query A { a }")
            assert one.flush()
    assert reached
    assert collector.requests() == 3
    assert one.close()


def test_a_full_disk_costs_faults_and_no_count_and_what_was_saved_before_is_never_sent_twice(
    collector: FakeCollector, tmp_path: Path
) -> None:
    """Full for files of more than a few bytes, from the second report on, and then the process is killed."""
    program = f"""
import os, resource, signal
from graphql import build_schema
from forebay.agent.exporter import Bounds
from forebay.agent.reporter import Reporter
bounds = Bounds(timeout=1, first_pause=0.02, last_pause=0.05)
options = dict(interval=0.05, spool={str(tmp_path)!r}, bounds=bounds)
reporter = Reporter(build_schema({SDL!r}), {collector.url!r}, "token", **options)
for number in range(3):
    reporter.record("query A {{ a }}")
reporter.flush(0.5)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
reporter.record("query A {{ a }}")
assert reporter.flush(5)
assert reporter.status()["faults"]["spool"] > 0, reporter.status()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
os.kill(os.getpid(), signal.SIGKILL)
"""
    collector.faults.extend([503] * 8)
    process = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert process.returncode == -signal.SIGKILL
    assert collector.requests() == 4
    one = reporter(collector.url, tmp_path)
    one.record("query B { a }")
    assert one.close()
    assert collector.requests() == 5
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_child_does_not_keep_its_parents_file_from_the_next_process(tmp_path: Path) -> None:
    one = reporter(NOWHERE, tmp_path)
    one.record("query A { a }")
    until_saved(tmp_path)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        assert not one.close(0.1)
        assert [each.requests for each in Spool(tmp_path / folder_of("token"), 10**9).adopt()] == [1]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_graphs_folder_is_that_of_all_its_tokens_and_of_no_other_graph(tmp_path: Path) -> None:
    keys = SigningKeys.load(tmp_path / "keys")
    tokens = [keys.create(Identity("acme", graph, Scope.WRITE), ttl) for graph in ("shop", "blog") for ttl in (60, 90)]
    folders = [folder_of(token) for token in [*tokens, "opaque", "an.other.one", ""]]
    assert folders[0] == folders[1]
    assert folders[2] == folders[3]
    assert len(set(folders)) == 5
    assert not any("acme" in folder or "opaque" in folder for folder in folders)
