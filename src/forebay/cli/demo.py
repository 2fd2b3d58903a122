"""`forebay demo`: see all of it work, on real traffic, in a minute."""

from __future__ import annotations

import dataclasses
import json
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..errors import Stop
from .serve import PORT
from .tables import client, table, terminal
from .window import seconds


def demo(
    lasting: Annotated[
        str | None, typer.Option("--for", help="End by itself after this long, like 30s, and compare.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Keep the data here; else it is gone afterwards.")] = None,
    port: Annotated[int | None, typer.Option(help=f"The page's port; {PORT} or a free one if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON document.")] = False,
) -> None:
    """Run the pipeline with a sample service and real clients, and compare what was sent with what is answered."""
    begun = time.monotonic()
    try:
        from ..demo.run import Demo, free_port, watch
    except ImportError as exc:
        raise Stop(f"the demo needs more than the server does ({exc.name}): pip install 'forebay[demo]'") from exc
    until = begun + seconds(lasting) if lasting else None
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    console = terminal(stderr=as_json)
    teller = _Teller(console)
    with tempfile.TemporaryDirectory(prefix="forebay-demo-") as passing:
        console.print("starting the pipeline, a sample service and its clients …", style="dim")
        with Demo(data or Path(passing), port or free_port(PORT), begun) as running:
            console.print(f"the page: [bold]{running.outcome.page}[/]", highlight=False)
            if until is None:
                console.print("Ctrl-C stops it and compares", style="dim")
            watch(running, until, stopping, teller.tell)
            console.print("comparing what was sent with what is answered …", style="dim")
            outcome = running.settle()
    _report(console, outcome, as_json)
    raise typer.Exit(0 if outcome.exact else 1)


class _Teller:
    """Prints each of the three answers when it first comes alive, and a line of progress."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()
        self._beats = 0

    def tell(self, demo: Any) -> None:
        uses = demo.who_uses("User.email")
        if uses and self._once("who"):
            self._headline("Which clients use User.email?", "forebay clients User.email")
            rows = ((client(u["client"], u["client_version"]), u["name"], u["requests"]) for u in uses)
            table(self._console, "client operation requests#", rows, "")
        fields = demo.fields_of("Android App", "1.3.4") if uses else []
        if fields and self._once("fields"):
            self._headline(
                "Which fields does Android App 1.3.4 use?", 'forebay fields --client "Android App" --version 1.3.4'
            )
            chosen = [use for use in fields if use["kind"] != "type"]
            used = ((use["coordinate"], use["kind"], use["requests"]) for use in chosen[:12])
            table(self._console, "coordinate kind requests#", used, "")
            if len(chosen) > 12:
                self._console.print(f"… and {len(chosen) - 12} more", style="dim")
        if fields and self._once("check"):
            self._headline("Does removing User.email break a client?", "forebay check --schema new.graphql")
            answer = demo.check_without("email: String!")
            changes = ((c["message"], c["severity"], c["verdict"], c["requests"]) for c in answer["changes"])
            table(self._console, "change severity use requests#", changes, "no changes")
            self._console.print(f"verdict: [bold]{answer['verdict']}[/]\n", highlight=False)
        self._beats += 1
        if self._beats % 10 == 0:
            self._console.print(f"{demo.traffic.ledger.total():,} requests sent so far", style="dim", highlight=False)

    def _once(self, what: str) -> bool:
        fresh = what not in self._told
        self._told.add(what)
        return fresh

    def _headline(self, question: str, command: str) -> None:
        self._console.print(f"\n[bold]{question}[/]  [dim]{command}[/]", highlight=False)


def _report(console: Console, outcome: Any, as_json: bool) -> None:
    for mismatch in outcome.mismatches:
        console.print(f"MISMATCH {mismatch}", style="red", highlight=False, markup=False)
    said = "exactly" if outcome.exact else "NOT"
    console.print(f"{outcome.sent:,} requests sent, {outcome.answered:,} answered: {said} the same", highlight=False)
    if not outcome.conserved:
        console.print("the journal and the store do not agree: see `forebay verify`", style="red")
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(outcome) | {"exact": outcome.exact}))
