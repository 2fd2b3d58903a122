"""The questions, asked of a running Forebay through its JSON API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from .api import Server
from .files import text_of
from .server_options import of_server
from .tables import about, client, duration, percent, table, terminal, when

WindowOption = Annotated[str, typer.Option(help="How far back, like 30d or 12h.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

MONTH = "30d"

schema = typer.Typer(no_args_is_help=True, help="Schemas of a graph.")


@of_server
def clients(
    server: Server,
    coordinate: Annotated[str, typer.Argument(help="Like User.email, Query.user(id:), Filter.tag or Role.ADMIN.")],
    window: WindowOption = MONTH,
    as_json: Json = False,
) -> None:
    """Which clients, versions and operations use this?"""

    def show(console: Console, answer: dict[str, Any]) -> None:
        rows = (
            (
                client(use["client"], use["client_version"]),
                use["name"] or "(anonymous)",
                ", ".join([*use["kinds"], *use["states"]]),
                use["requests"],
                use["errors"],
                when(use["last_seen"]),
            )
            for use in answer["uses"]
        )
        table(console, "client operation used_as requests# errors# last_seen", rows, "nobody was seen using it")
        if answer["known"] is False:
            near = " or ".join(answer["suggestions"])
            console.print(
                f"{coordinate} is not in the schema{f'; did you mean {near}?' if near else ''}", style="yellow"
            )

    answer = server.get("clients", coordinate=coordinate, window=window)
    _print(answer, as_json, show)


@of_server
def fields(
    server: Server,
    client: Annotated[str, typer.Option(help="The client's name; empty for those that give none.")],
    version: Annotated[str | None, typer.Option(help="Its version; all of them if not given.")] = None,
    window: WindowOption = MONTH,
    as_json: Json = False,
) -> None:
    """Which exact fields, arguments, inputs and enum values does this client use?"""

    def show(console: Console, answer: dict[str, Any]) -> None:
        rows = (
            (use["coordinate"], use["kind"], use["requests"], use["operations"], when(use["last_seen"]))
            for use in answer["uses"]
        )
        table(console, "coordinate kind requests# operations# last_seen", rows, "this client was not seen")

    answer = server.get("fields", client=client, version=version, window=window)
    _print(answer, as_json, show)


@of_server
def operations(
    server: Server,
    client: Annotated[str | None, typer.Option(help="Of this client only.", show_default=False)] = None,
    version: Annotated[str | None, typer.Option(help="In this version only.", show_default=False)] = None,
    window: WindowOption = MONTH,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """Which operations are requested most, and how do they fare?"""

    def show(console: Console, answer: dict[str, Any]) -> None:
        rows = (
            (
                _operation(row),
                row["requests"],
                percent(row["errors"], row["requests"]),
                duration(row["p50"]),
                duration(row["p99"]),
                row["clients"],
                when(row["last_seen"]),
            )
            for row in answer["operations"]
        )
        table(console, "operation requests# errors# p50# p99# clients# last_seen", rows, "no requests were seen")

    _print(server.get("operations", client=client, version=version, window=window, limit=limit), as_json, show)


@of_server
def errors(
    server: Server,
    coordinate: Annotated[str | None, typer.Argument(help="A field, like User.email.", show_default=False)] = None,
    operation: Annotated[str | None, typer.Option(help="Of this operation's id only.", show_default=False)] = None,
    window: WindowOption = MONTH,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many fields.")] = 50,
    as_json: Json = False,
) -> None:
    """At which fields do errors arise?  Of one field: for whom, and how does its resolver fare?"""

    def show(console: Console, answer: dict[str, Any]) -> None:
        rows = (
            (row["coordinate"], row["errors"], row["requests"], row["clients"], when(row["last_seen"]))
            for row in answer["fields"]
        )
        table(console, "coordinate errors# requests# clients# last_seen", rows, "no errors were seen at any field")
        if answer["unattributed"]:
            text = f"{answer['unattributed']:,} of {answer['errors']:,} errors arose where the field is not known"
            console.print(text, style="yellow", highlight=False)

    if coordinate is None:
        _print(server.get("errors", operation=operation, window=window, limit=limit), as_json, show)
    else:
        _print(server.get("errors", coordinate=coordinate, window=window), as_json, _show_errors_at)


@of_server
def verify(server: Server, as_json: Json = False) -> None:
    """Prove that what went into the journal is in the store: nothing lost, nothing doubled."""

    def show(console: Console, answer: dict[str, Any]) -> None:
        table(console, "compared number#", answer["compared"].items(), "nothing to compare")
        for difference in answer["differences"]:
            console.print(difference, style="red", markup=False, highlight=False)
        console.print("conserved" if answer["ok"] else "NOT conserved", style="bold")

    answer = server.get("verify")
    _print(answer, as_json, show, with_about=False)
    raise typer.Exit(0 if answer["ok"] else 1)


@of_server
def status(server: Server, as_json: Json = False) -> None:
    """How is the pipeline: lag, freshness, dead letters, losses, refusals?"""
    _print(server.get("status"), as_json, _show_status, with_about=False)


@schema.command()
@of_server
def publish(
    server: Server,
    file: Annotated[Path, typer.Argument(help="The schema, in SDL.")],
) -> None:
    """Tell Forebay the schema of a graph."""
    answer = server.publish(text_of(file))
    typer.echo(f"published as {answer['schema_version']}")


COMMANDS = (clients, fields, operations, errors, verify, status)


def _print(
    answer: dict[str, Any],
    as_json: bool,
    show: Callable[[Console, dict[str, Any]], None],
    with_about: bool = True,
) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    console = terminal()
    show(console, answer)
    if with_about:
        about(console, answer)


def _show_errors_at(console: Console, answer: dict[str, Any]) -> None:
    rows = (
        (
            client(use["client"], use["client_version"]),
            use["name"] or "(anonymous)",
            use["errors"],
            use["requests"],
            when(use["last_seen"]),
        )
        for use in answer["uses"]
    )
    table(console, "client operation errors# requests# last_seen", rows, "no errors were seen there")
    if seen := answer["executions"]:
        console.print(
            f"about {seen['executions']:,} executions, {percent(seen['failed'], seen['executions'])} of them failed,"
            f" p50 {duration(seen['p50'])}, p95 {duration(seen['p95'])}:"
            f" an estimate from {seen['sampled']:,} that were seen",
            highlight=False,
        )


def _operation(row: dict[str, Any]) -> str:
    kind = "invalid" if row["invalid"] else row["type"]
    return f"{kind} {row['name'] or '(anonymous)'}{' (uses deprecated)' if row['uses_deprecated'] else ''}"


def _show_status(console: Console, answer: dict[str, Any]) -> None:
    """Stages in the order in which data flows; what is not as it should be stands out."""

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False)

    for refusal in answer["refusals"]:
        say(f"refused: {refusal['count']:,} {refusal['protocol']} reports, {refusal['reason']}", "yellow")
    if answer["journal"] is None:
        say(f"the journal does not tell what waits: {answer['journal_trouble']}", "red")
    else:
        _show_journal(console, answer["journal"])
    if answer["under_replicated"]:
        say(f"a replica is missing: {', '.join(answer['under_replicated'])}; a broker is down or behind", "red")
    if (loss_in := answer["loss_in"]) is not None:
        text = f"the journal's retention takes what is not loaded in {loss_in / 3600:,.1f} h"
        say(text, "red" if loss_in < 86_400 else "yellow")
    for each in (answer["loaders"] or ()) if answer["loader"] is None else ():
        told = f"loader {each['loader']}, {each['partitions']} partitions: {each['pace']}"
        said = f"{told} (committed {each['committed'][:19].replace('T', ' ')} UTC)"
        say(said, "red" if each["trouble"] else None)
    if loader := answer["loader"]:
        say(f"loader: {loader['records']:,} records, {loader['requests']:,} requests since it started")
        if loader["pace"]:
            say(f"pace: {loader['pace']}")
        if loader["trouble"]:
            say(f"the loader is in trouble: {loader['trouble']}", "red")
    console.print()
    condition = answer["condition"]
    say(f"store: {condition['state']}", None if condition["state"] == "ok" else "red")
    if condition["state"] != "ok":
        say(condition["sentence"], "red")
    if answer["store"] is not None:
        _show_store(console, answer)
    for letter in answer["dead_letters"] or ():
        when_last = when(letter["last"])
        say(f"dead letters: {letter['letters']:,} in {letter['topic']}, {letter['reason']}, last {when_last}", "red")
    if answer["rebuild"]:
        say(answer["rebuild"], "red")
    if answer["lost_records"]:
        lost = f"{answer['lost_records']:,} records"
        say(f"lost: {lost} that the journal's retention took before they were loaded", "red")
    for loss in answer["losses"] or ():
        text = f"lost by agents of {loss['org']}/{loss['graph']}: {loss['requests']:,} requests, {loss['reason']}"
        say(text, "red")
    if answer["journal"] is not None:
        say(f"complete up to {when(answer['complete_up_to'])} UTC", "bold")


def _show_journal(console: Console, journal: list[dict[str, Any]]) -> None:
    lags = (
        (
            f"{lag['topic']}/{lag['partition']}",
            lag["high"],
            lag["loaded"],
            lag["lag_records"],
            f"{lag['lag_seconds']:.1f} s",
        )
        for lag in journal
    )
    table(console, "journal appended# loaded# lag_records# lag#", lags, "no topics")


def _show_store(console: Console, answer: dict[str, Any]) -> None:
    tables = (
        (part["table"], part["rows"], part["parts"], part["most_in_a_partition"], f"{part['bytes'] / 2**20:,.1f}")
        for part in answer["store"]
    )
    table(console, "store rows# parts# most_in_a_partition# MiB#", tables, "no tables")
    console.print()
    graphs = ((f"{graph['org']}/{graph['graph']}", when(graph["last_seen"])) for graph in answer["graphs"])
    table(console, "graph last_traffic", graphs, "no graph has reported anything yet")
