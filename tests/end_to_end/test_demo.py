"""The whole product on real traffic: what the clients sent is what the answers say, exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from faults.pipeline import free_port

FOREBAY = [sys.executable, "-m", "forebay"]


def test_the_demo_ends_by_itself_with_answers_that_equal_the_clients_ledger(tmp_path: Path) -> None:
    port = str(free_port())
    command = [*FOREBAY, "demo", "--for", "12s", "--json", "--data", str(tmp_path / "data"), "--port", port]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["sent"] == outcome["answered"] > 100
    assert outcome["mismatches"] == []
    assert outcome["conserved"] is True
    assert outcome["first_answer_seconds"] is not None
    for answer in ("User.email", "Android App 1.3.4", "verdict: breaks", port):
        assert answer in result.stderr
    assert "Traceback" not in result.stderr


def test_a_mismatch_is_told_line_by_line_and_is_not_a_success() -> None:
    from forebay.demo.run import Outcome, mismatches

    sent = {("web", "1", "Q", False): 3, ("", "", "", True): 1, ("web", "1", "R", False): 2}
    answered = {("web", "1", "Q", False): 2, ("web", "1", "R", False): 2, ("iOS", "2", "S", True): 1}
    found = mismatches(sent, answered)
    assert found == [
        "(unidentified), (anonymous) with errors: 1 sent, 0 answered",
        "iOS 2, S with errors: 0 sent, 1 answered",
        "web 1, Q without errors: 3 sent, 2 answered",
    ]
    assert Outcome(sent=6, answered=6, conserved=True).exact
    assert not Outcome(sent=6, answered=6, conserved=True, mismatches=found).exact
    assert not Outcome(sent=0, answered=0, conserved=True).exact
    assert not Outcome(sent=6, answered=6, conserved=False).exact
