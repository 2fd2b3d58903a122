"""Seconds from `forebay demo` to its first right answer, as a person would start it.

The command runs in an empty directory; `first_answer_seconds` in its JSON is when an answer first
equalled what the demo's clients counted themselves.  `first_answer/process`: the whole command,
its five seconds of traffic included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .result import Result, at_most


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        forebay = str(Path(sys.executable).with_name("forebay"))
        begun = time.monotonic()
        done = subprocess.run(
            [forebay, "demo", "--for", "5s", "--json", "--data", directory],
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
        took = time.monotonic() - begun
    seconds = float(json.loads(done.stdout)["first_answer_seconds"])
    yield at_most(20, "first_answer/seconds", seconds, "s", "from the start of the command")
    yield Result("first_answer/process", took, "s", "the whole command, five seconds of traffic included")
