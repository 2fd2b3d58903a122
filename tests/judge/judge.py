"""The judge: whatever breaks when it is executed, the check must have said so.

A triple is a schema, a request that works on it, and a changed schema.  The request is executed
on both; if it breaks or answers in another shape, the check of the traffic that it makes must say
used or unknown, and so must each single change that is alone enough to break it.  Where the request
was recorded can be a third schema, as in a window that reaches back before the last release.
`python -m judge.judge N SEED` in `tests` judges N triples (`make judge N=… SEED=…`).
"""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from graphql import GraphQLSchema

from forebay.agent.extract import Extractor
from forebay.agent.variants import unite
from forebay.core.coordinate import Kind
from forebay.core.shape import FULL_COVERAGE, Coverage, Shape
from forebay.insights.answers import About, Verdict
from forebay.insights.check_answers import Check
from forebay.insights.mistakes import BadSchema
from forebay.insights.place_changes import Change, Severity
from forebay.insights.published import build
from forebay.insights.schema_changes import changes
from forebay.insights.schema_check import check
from forebay.insights.seen import Seen
from forebay.insights.touches import Comparison

from .execution import Broken, Nobody, Service, broken, executed
from .mutations import mutated
from .operations import Request, Writer
from .schemas import Maker, Model

REQUESTS, SCHEMAS = 12, 16
"""Of one random schema: requests on it, and changed schemas."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COMPLETE = About(
    org="o",
    graph="g",
    since=NOW,
    until=NOW,
    bucket_seconds=300,
    complete_up_to=NOW,
    data_since=NOW,
    requests=1,
    coverage=tuple(FULL_COVERAGE),
    missing=(),
    complete=True,
    incomplete=(),
    reasons=(),
)
SEEN_BY = {
    Kind.TYPE: Coverage.FIELDS,
    Kind.FIELD: Coverage.FIELDS,
    Kind.ARGUMENT: Coverage.ARGUMENTS,
    Kind.INPUT: Coverage.INPUTS,
    Kind.ENUM_VALUE: Coverage.ENUM_VALUES,
    Kind.DIRECTIVE: Coverage.DOCUMENT,
}
COVERAGES = (
    FULL_COVERAGE,
    FULL_COVERAGE - {Coverage.DOCUMENT},
    FULL_COVERAGE - {Coverage.STATES},
    frozenset({Coverage.FIELDS, Coverage.DOCUMENT}),
    frozenset({Coverage.FIELDS, Coverage.ARGUMENTS}),
    frozenset({Coverage.FIELDS}),
    frozenset({Coverage.DOCUMENT}),
    frozenset[Coverage](),
)


class Triple(NamedTuple):
    old: str
    new: str
    request: Request

    def told(self) -> str:
        """Request, change and schema, for people."""
        lines = difflib.unified_diff(self.old.splitlines(), self.new.splitlines(), lineterm="", n=99)
        return "\n".join([self.request.source, str(self.request.variables), *list(lines)[3:]])


class Worked(NamedTuple):
    """A request that works on the old schema: its answers, its shape, and its document's shape without variables."""

    request: Request
    before: list[tuple[Service, Any]]
    shape: Shape
    without: Shape


@dataclass
class Findings:
    """`false_safe`: triples that broke though the check called them safe, with why they broke.

    `alarms`: triples that the check, seeing everything, called used or unknown though nothing broke, by the
    kinds of change and the verdicts.
    """

    triples: int = 0
    broke: int = 0
    false_safe: list[tuple[Triple, str]] = field(default_factory=list)
    alarms: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Triple] = field(default_factory=dict)

    def alarm(self, answer: Check, triple: Triple) -> None:
        said = accused(answer)
        changes = [each for each in answer.changes if (each.kind, each.coordinate, each.message) in said]
        kinds = " + ".join(sorted({f"{each.kind}: {each.verdict}" for each in changes}))
        self.alarms[kinds] += 1
        self.examples.setdefault(kinds, triple)


def judge(count: int, seed: int) -> Findings:
    """Judge this many random triples."""
    findings = Findings()
    while findings.triples < count:
        seed += 1
        _one_schema(seed, findings)
    return findings


def answer(old: GraphQLSchema, new: GraphQLSchema, *shapes: Shape) -> Check:
    """The check of traffic of these shapes, in a window that is complete."""
    return check(Comparison(old, new), [Seen(shape.id(), shape, {("web", "1"): 1}) for shape in shapes], COMPLETE)


def as_seen(shape: Shape, coverage: frozenset[Coverage]) -> Shape:
    """What a reporter with this coverage would have told."""
    entries = tuple(entry for entry in shape.entries if SEEN_BY[entry.kind] in coverage)
    seen = {entry.named_type for entry in entries}
    hidden = {entry.named_type for entry in shape.entries} - seen  # types that nothing but what it does not see names
    entries = tuple(entry for entry in entries if entry.kind is not Kind.TYPE or entry.coordinate not in hidden)
    document = shape.document if Coverage.DOCUMENT in coverage else ""
    return replace(shape, entries=entries, document=document, coverage=coverage)


def accused(answer: Check) -> set[tuple[str, str, str]]:
    """Changes that keep a check from being safe."""
    return {
        (change.kind, change.coordinate, change.message)
        for change in answer.changes
        if change.severity is not Severity.DANGEROUS and change.verdict is not Verdict.UNUSED
    }


def _one_schema(seed: int, findings: Findings) -> None:
    rng = Random(seed)
    model, ran = valid(rng)
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 3)):
            model = mutated(model, rng.randrange(2**32))
    try:
        old = build(model.sdl(), "old schema")
    except BadSchema:
        return
    worked = list(working(ran, old, rng))
    for _ in range(SCHEMAS):
        seeds = [rng.randrange(2**32) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        changed = model
        for each in seeds:
            changed = mutated(changed, each)
        text = changed.sdl()
        try:
            new = build(text, "new schema")
        except BadSchema:
            continue
        found = changes(old, new)
        singles = _singles(model, old, seeds, found) if len(seeds) > 1 else []
        for one in worked:
            _one(Triple(model.sdl(), text, one.request), old, new, one, singles, rng, findings)


def _one(
    triple: Triple,
    old: GraphQLSchema,
    new: GraphQLSchema,
    worked: Worked,
    singles: list[tuple[GraphQLSchema, list[Change]]],
    rng: Random,
    findings: Findings,
) -> None:
    request, before, shape = worked.request, worked.before, worked.shape
    findings.triples += 1
    why = broken(before, new, request)
    if not why:
        full = answer(old, new, shape)
        if accused(full):
            findings.alarm(full, triple)
        return
    findings.broke += 1
    seen = as_seen(shape, rng.choice(COVERAGES))
    tellings = {
        "": shape,
        f"; seen by {sorted(seen.coverage)}": seen,
        "; united with the shape of no variables": unite(shape, worked.without),
    }
    for how, told in tellings.items():
        found = answer(old, new, told)
        said = accused(found)
        if not said or found.exit_code == 0:
            findings.false_safe.append((triple, f"{why}{how}"))
            continue
        for single, alone in singles:
            explained = any(key in said for key in ((each.kind, each.coordinate, each.message) for each in alone))
            as_a_whole = any(kind == "operation_broken" for kind, _, _ in said)
            if not (explained or as_a_whole) and broken(before, single, request):
                because = f"; by {[each.message for each in alone]} alone"
                findings.false_safe.append((triple, f"{why}{because}{how}"))


def _singles(
    model: Model, old: GraphQLSchema, seeds: list[int], found: list[Change]
) -> list[tuple[GraphQLSchema, list[Change]]]:
    """Each of the changes alone, where it is the same as among the others."""
    singles = []
    for each in seeds:
        try:
            single = build(mutated(model, each).sdl(), "new schema")
        except BadSchema:
            continue
        alone = changes(old, single)
        if set(alone) <= set(found):
            singles.append((single, alone))
    return singles


def valid(rng: Random) -> tuple[Model, GraphQLSchema]:
    while True:
        model = Maker(rng).make()
        try:
            return model, build(model.sdl(), "old schema")
        except BadSchema:
            continue


def working(ran: GraphQLSchema, old: GraphQLSchema, rng: Random) -> Iterator[Worked]:
    """Requests that were recorded on the schema that they ran on, and work on the old one, most often the same."""
    extractor = Extractor(ran)
    for _ in range(REQUESTS):
        writer = Writer(ran, rng)
        operation = extractor.operation(writer.source, writer.operation_name)
        for _ in range(2):
            request = Request(writer.source, writer.variables(), writer.operation_name)
            try:
                before = executed(old, request)
            except (Broken, Nobody):
                continue
            if operation.invalid:
                break
            yield Worked(request, before, operation.shape(request.variables), operation.shape({}))


def main() -> None:
    count, seed = (int(text) for text in sys.argv[1:])
    print(f"seed {seed}", flush=True)
    findings = judge(count, seed)
    print(f"{findings.triples:,} triples, {findings.broke:,} broke, {len(findings.false_safe):,} called safe falsely")
    for triple, why in findings.false_safe[:10]:
        print(f"\n{triple.told()}\n=> {why}")
    fine = findings.triples - findings.broke
    print(f"of {fine:,} that did not break, {findings.alarms.total():,} were called used or unknown:")
    for kinds, number in findings.alarms.most_common(25):
        print(f"{number:7,}  {kinds}")
    sys.exit(bool(findings.false_safe))


if __name__ == "__main__":
    main()
