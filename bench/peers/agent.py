"""python -m bench.peers.agent JOB.json: does what the job says, as node/drive.mjs does with the others' reporters."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphql import build_schema

from forebay.agent.reporter import Reporter

Record = Callable[[Mapping[str, Any]], None]


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    reporter = Reporter(build_schema(job["schema"]), job["url"], "token")

    def record(request: Mapping[str, Any]) -> None:
        reporter.record(
            request["source"],
            request["name"],
            request["variables"],
            client=request["client"],
            client_version=request["version"],
            seconds=0.0123,
            validated=True,  # by the host; the others don't validate either
            executed=True,
        )

    print("ready", flush=True)
    sys.stdin.readline()
    if job["mode"] == "calls":
        _calls(record, job["warm"], 3, job["batch"])
        reporter.flush()
        print(json.dumps({"differences": _calls(record, job["requests"], job["passes"], job["batch"])}))
    else:
        print(json.dumps({"cpu": _paced(_nothing if job["empty"] else record, reporter, job)}))
    reporter.close()


def _paced(record: Record, reporter: Reporter, job: Mapping[str, Any]) -> float:
    """Microseconds of CPU."""
    if job["warm"]:
        _pace(record, job["warm"], job["rate"], job["warming"] * job["rate"])
    before = time.process_time()
    _pace(record, job["requests"], job["rate"], job["total"])
    if job["close"]:
        reporter.close()
    return (time.process_time() - before) * 1e6


def _pace(record: Record, requests: Sequence[Mapping[str, Any]], rate: float, total: int) -> None:
    begun, done = time.perf_counter(), 0
    while done < total:
        due = min(total, int((time.perf_counter() - begun) * rate))
        for number in range(done, due):
            record(requests[number % len(requests)])
        done = due
        time.sleep(0.005)


def _calls(record: Record, requests: Sequence[Mapping[str, Any]], passes: int, size: int) -> list[float]:
    """Microseconds of each batch's calls, less those of the empty call for the same batch."""
    differences = []
    for _ in range(passes):
        for at in range(0, len(requests) - size + 1, size):
            part = requests[at : at + size]
            empty = _batch(_nothing, part)
            differences.append(_batch(record, part) - empty)
    return differences


def _batch(record: Record, requests: Sequence[Mapping[str, Any]]) -> float:
    begun = time.thread_time()  # of this thread: what waits for the background's analysis is not its own time
    for request in requests:
        record(request)
    took = time.thread_time() - begun
    time.sleep(0.002)
    return took / len(requests) * 1e6


def _nothing(request: Mapping[str, Any]) -> None:
    pass


if __name__ == "__main__":
    main()
