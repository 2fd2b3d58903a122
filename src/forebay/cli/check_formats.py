"""A check's answer for people, pull requests and continuous integration.  Pure but for the table's console."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from graphql import FieldDefinitionNode, InputValueDefinitionNode, TypeDefinitionNode, parse
from rich.console import Console

from .tables import table, when

Answer = dict[str, Any]


def as_table(console: Console, answer: Answer) -> None:
    """Every change, then why what is not known is not, and whom it concerns."""
    rows = (
        (change["severity"], change["verdict"], change["message"], change["requests"], _who(change), change["id"])
        for change in answer["changes"]
    )
    table(console, "change use what requests# who id", rows, "the schemas are the same")
    for change in answer["changes"]:
        for line in _notes(change):
            console.print(line, style="yellow", markup=False, highlight=False)
        for operation in change["operations"][:5] if change["severity"] != "safe" else ():
            text = (
                f"{change['coordinate']}: {operation['name'] or '(anonymous)'} ({operation['operation']}), "
                f"{operation['requests']:,} requests, last {when(operation['last_seen'])}"
            )
            console.print(text, markup=False, highlight=False)
    for line in _unjudged(answer):
        console.print(line, style="yellow", highlight=False)
    if answer["left_out"]:
        console.print(f"left out: {answer['left_out']:,} requests", style="yellow", highlight=False)
    console.print(f"verdict: {answer['verdict']}", style="bold")


def _markdown(answer: Answer, path: str, sdl: str) -> str:
    """For a comment on a pull request."""
    told = answer["about"]
    symbol = {"safe": "✅", "breaks": "❌", "unknown": "❔"}[answer["verdict"]]
    lines = [
        f"## {symbol} Schema check: {answer['verdict']}",
        "",
        f"{told['org']}/{told['graph']}, {when(told['since'])} to {when(told['until'])} UTC, "
        f"{told['requests']:,} requests, exit code {answer['exit_code']}",
        "",
    ]
    if not answer["changes"]:
        return "\n".join([*lines, "The schemas are the same."])
    lines += ["| change | use | what | requests | who | last seen |", "|---|---|---|--:|---|---|"]
    for change in answer["changes"]:
        cells = (
            change["severity"],
            change["verdict"],
            change["message"],
            f"{change['requests']:,}",
            _who(change),
            when(change["last_seen"]) if change["last_seen"] else "",
        )
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    notes = [_cell(line) for change in answer["changes"] for line in _notes(change)]
    notes += [_cell(line) for line in (*_unjudged(answer), *(f"incomplete: {each}" for each in told["incomplete"]))]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]).rstrip()


def _github(answer: Answer, path: str, sdl: str) -> str:
    """Workflow commands: an annotation for each change that is breaking or dangerous."""
    lines = _lines(sdl)
    commands = []
    for change in _worth_telling(answer):
        level = {"used": "error", "unknown": "error" if answer["exit_code"] else "warning"}.get(
            change["verdict"], "notice"
        )
        if change["severity"] == "dangerous":
            level = "warning" if change["verdict"] == "used" else "notice"
        title = f"{change['severity']}, {change['verdict']}: {change['coordinate']}"
        where = f"file={_property(path)},line={_line_of(change['coordinate'], lines)},title={_property(title)}"
        commands.append(f"::{level} {where}::{_data(_sentence(change))}")
    level = "notice" if answer["exit_code"] == 0 else "error"
    return "\n".join([*commands, f"::{level} title=Schema check::verdict: {_data(answer['verdict'])}"])


def _junit(answer: Answer, path: str, sdl: str) -> str:
    """A test case for each change: failed if it breaks someone, an error if that is not known."""
    cases, failures, errors = [], 0, 0
    for change in answer["changes"]:
        inside = ""
        if change["severity"] != "dangerous" and change["verdict"] != "unused" and answer["exit_code"]:
            if change["verdict"] == "used" and change["severity"] == "breaking":
                failures += 1
                inside = f"<failure message={quoteattr(change['message'])}>{escape(_sentence(change))}</failure>"
            elif change["verdict"] == "unknown":
                errors += 1
                inside = f"<error message={quoteattr(change['message'])}>{escape(_sentence(change))}</error>"
        name = quoteattr(f"{change['severity']}: {change['message']}")
        cases.append(f"  <testcase classname={quoteattr(change['coordinate'])} name={name}>{inside}</testcase>")
    if answer["exit_code"] and not failures + errors:  # as for every breaking change, used or not
        failures = 1
        cases.append(f'  <testcase name="verdict"><failure message={quoteattr(answer["verdict"])}/></testcase>')
    head = f'<testsuite name="forebay check" tests="{len(cases)}" failures="{failures}" errors="{errors}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, "</testsuite>"])


FORMATS: dict[str, Callable[[Answer, str, str], str]] = {"markdown": _markdown, "github": _github, "junit": _junit}
"""Name → what makes the text of an answer, the new schema's path and its text."""


def _worth_telling(answer: Answer) -> Iterable[dict[str, Any]]:
    return (each for each in answer["changes"] if each["severity"] != "safe" or each["verdict"] == "unknown")


def _notes(change: dict[str, Any]) -> list[str]:
    reasons = [f"{change['verdict']}: {change['coordinate']}: {reason}" for reason in change["reasons"]]
    return [*reasons, *(f"let pass: {change['coordinate']}: {why}" for why in change["passed"])]


def _unjudged(answer: Answer) -> list[str]:
    number = answer["unjudged"]
    return [f"not judged: {number:,} more operations: what is used may be used by them too"] if number else []


def _sentence(change: dict[str, Any]) -> str:
    who = f"{change['requests']:,} requests of {_who(change)}" if change["requests"] else ""
    return "; ".join(filter(None, [change["message"], who, *change["reasons"], *change["passed"]]))


def _who(change: dict[str, Any]) -> str:
    who = sorted({each or "(unidentified)" for operation in change["operations"] for each in operation["clients"]})
    return ", ".join(who[:4]) + (f" and {len(who) - 4} more" if len(who) > 4 else "")


def _cell(text: object) -> str:
    """Text in a Markdown table: what clients call themselves must not become markup."""
    plain = "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|~@" else letter for letter in str(text))
    return " ".join(plain.split())


def _lines(sdl: str) -> dict[str, int]:
    """Coordinate of a type, field or input field → its line."""
    found: dict[str, int] = {}
    for node in parse(sdl).definitions:
        if isinstance(node, TypeDefinitionNode) and node.loc:
            found[node.name.value] = node.name.loc.start_token.line if node.name.loc else node.loc.start_token.line
            for item in getattr(node, "fields", None) or ():
                if isinstance(item, FieldDefinitionNode | InputValueDefinitionNode) and item.name.loc:
                    found[f"{node.name.value}.{item.name.value}"] = item.name.loc.start_token.line
    return found


def _line_of(coordinate: str, lines: dict[str, int]) -> int:
    """Of what it names, else of its type: what was removed has no line of its own."""
    owner = coordinate.partition("(")[0]
    return lines.get(owner) or lines.get(owner.partition(".")[0]) or 1


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
