"""Forebay's agent beside Hive's and Apollo's own reporters in Node, on the same operations.

npm fetches theirs into `node/node_modules`; nothing of Forebay depends on them.  Each reporter runs in
a process of its own with its default settings and reports to a sink that acknowledges as its collector
does.  `hive` is the client alone, `hive_plugin` as its plugins for Yoga, Envelop and Apollo set it up:
they hand it a name, and with that a report holds 25 operations, not 1,500.  Apollo's is a plugin of a
server, so that operations are executed, with it and without it.

`…_known_call`, `…_unknown_call`: µs that a request waits for the reporter, less an empty call: of documents
seen before, and of such that were never seen.  `…_cpu`: µs of CPU of the whole process for an operation,
until all is sent and acknowledged, less a process of the same kind that records nothing.

`…_lost_…`: 100 operations a second for 60 s, and the sink is away for 5 or 10 of them (connections
refused; and answers 503), or cuts acknowledgements for 3 s after it took the reports (`cut`).  In four runs
it begins at four moments of a 10 s interval; the value is their mean in seconds of traffic.  `…_again_cut`:
of the reports that were taken, how much came a second time.  Python is not Node: a call costs it more.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..result import Result, at_most
from . import work
from .count import NODE, Ledger, Outcome, outcome
from .sink import CUT, REFUSED, UNAVAILABLE, Sink

KNOWN, BATCH, PASSES, UNKNOWN = 300, 50, 10, 600
RATE, CPU_RATE, CPU_SECONDS = 100, 1_000, 20
SECONDS, BEFORE, PHASES = 60, 10.0, (0.0, 2.5, 5.0, 7.5)
FAULTS = ((REFUSED, 5.0), (REFUSED, 10.0), (UNAVAILABLE, 5.0), (UNAVAILABLE, 10.0), (CUT, 3.0))
Job = dict[str, Any]


class Reporter(NamedTuple):
    """`named`: an option of Hive's, see above."""

    protocol: str
    named: bool = False

    @property
    def label(self) -> str:
        return f"{self.protocol}_plugin" if self.named else self.protocol

    def command(self, job: Path) -> list[str]:
        if self.protocol == "forebay":
            return [sys.executable, "-m", "bench.peers.agent", str(job)]
        return ["node", "--no-warnings", str(NODE / "drive.mjs"), self.protocol, str(job)]


REPORTERS = (Reporter("forebay"), Reporter("hive"), Reporter("hive", named=True), Reporter("apollo"))


def run() -> Iterator[Result]:
    install()
    known, unknown = work.requests(range(KNOWN), 4), work.requests(range(1_000, 1_000 + UNKNOWN))
    for reporter in REPORTERS:
        yield from asyncio.run(_costs(reporter, known, unknown))
    for how, seconds in FAULTS:
        runs = [_outage(reporter, known, how, seconds, phase) for reporter in REPORTERS for phase in PHASES]
        outcomes = asyncio.run(_together(runs))
        for number, reporter in enumerate(REPORTERS):
            yield from _lost(reporter, how, seconds, outcomes[number * len(PHASES) :][: len(PHASES)])


def install() -> None:
    """Fetch the others' reporters; one line for a user where that can't be."""
    if shutil.which("npm") is None:
        raise SystemExit("peers: needs Node 20 or newer with npm, to run the others' reporters")
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    if subprocess.run(command, cwd=NODE).returncode:
        raise SystemExit(f"peers: npm could not fetch the others' reporters; try it in {NODE.relative_to(Path.cwd())}")


async def _costs(reporter: Reporter, known: list[Any], unknown: list[Any]) -> list[Result]:
    results = []
    for kind, requests, passes in (("known", known, PASSES), ("unknown", unknown, 1)):
        job: Job = {"mode": "calls", "warm": known, "requests": requests, "passes": passes, "batch": BATCH}
        async with asyncio.timeout(300):
            [answer] = await _together([_measured(reporter, job)])
        call = statistics.median(answer["differences"])
        rate = CPU_RATE if kind == "known" else RATE
        paced: Job = {"mode": "pace", "warm": known, "warming": 5, "requests": requests, "rate": rate, "close": True}
        paced["total"] = CPU_RATE * CPU_SECONDS if kind == "known" else UNKNOWN
        recording, without = await _together(
            [_measured(reporter, {**paced, "empty": empty}) for empty in (False, True)]
        )
        cpu = (recording["cpu"] - without["cpu"]) / paced["total"]
        pace = f"{rate:,} operations/s"
        results.append(Result(f"peers/{reporter.label}_{kind}_call", call, "µs", "an empty call"))
        results.append(
            Result(f"peers/{reporter.label}_{kind}_cpu", cpu, "µs CPU", f"a process that records nothing, at {pace}")
        )
    return results


async def _measured(reporter: Reporter, job: Job) -> Any:
    sink = await Sink(reporter.protocol).open()
    answer = await _driven(reporter, sink, job)
    await sink.close()
    return answer


async def _outage(reporter: Reporter, requests: list[Any], how: str, seconds: float, phase: float) -> Outcome:
    sink = await Sink(reporter.protocol).open()
    total = RATE * SECONDS
    job: Job = {
        "mode": "pace",
        "warm": [],
        "requests": requests,
        "rate": RATE,
        "total": total,
        "close": False,
        "empty": False,
    }
    await _driven(reporter, sink, job, (how, BEFORE + phase, seconds))
    await sink.close()
    each = [work.Request(**request).key() for request in requests]
    recorded = Ledger(each[number % len(each)] for number in range(total))
    return outcome(reporter.protocol, sink.taken, recorded)


async def _driven(reporter: Reporter, sink: Sink, job: Job, fault: tuple[str, float, float] | None = None) -> Any:
    """The process's answer to the job; the fault is timed from when it begins."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "job.json"
        file.write_text(json.dumps({**job, "schema": work.SCHEMA, "url": sink.url, "named": reporter.named}))
        process = await asyncio.create_subprocess_exec(*reporter.command(file), stdin=PIPE, stdout=PIPE, limit=2**24)
        assert process.stdin
        assert process.stdout
        try:
            await process.stdout.readuntil(b"ready\n")
            failing = asyncio.create_task(sink.fail(*fault)) if fault else None
            process.stdin.write(b"go\n")
            answer = json.loads(await process.stdout.readline())
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        if failing:
            await failing
        return answer


async def _together(runs: Sequence[Any]) -> list[Any]:
    return await asyncio.gather(*runs)


def _lost(reporter: Reporter, how: str, seconds: float, outcomes: list[Outcome]) -> Iterator[Result]:
    lost = [each.lost / RATE for each in outcomes]
    again = [each.again / RATE for each in outcomes]
    of = (
        f"{min(lost):.1f} to {max(lost):.1f} s in {len(lost)} runs of {SECONDS} s; again {statistics.mean(again):.1f} s"
    )
    name = f"peers/{reporter.label}_lost_{how}_{seconds:.0f}"
    mean = statistics.mean(lost)
    if reporter.protocol == "forebay":
        yield at_most(0, name, mean, "s of traffic", of)
    else:
        yield Result(name, mean, "s of traffic", of)
    if how == CUT:
        of = f"{min(again):.1f} to {max(again):.1f} s; taken and cut for {seconds:.0f} s"
        yield Result(f"peers/{reporter.label}_again_cut", statistics.mean(again), "s of traffic", of)
