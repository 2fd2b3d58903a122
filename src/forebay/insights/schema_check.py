"""The schema check: does a change of the schema break anyone who is there, and whom?

Never a false "safe": a breaking change is *unused* only if the window is complete and no request
of it could be affected as far as its reporters could see; what cannot be told is *unknown*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from .allowances import Affected, Allowances
from .answers import About, Verdict
from .check_answers import Check, CheckedChange, CheckedOperation, FailOn, Outcome, exit_code, rank
from .place_changes import Change, Severity
from .rules import Effect
from .schema_impact import Judge, may_keep_from_merging
from .seen import Seen
from .touches import Comparison
from .type_changes import Hit

MAX_REASONS = 10


def check(
    compared: Comparison,
    traffic: Iterable[Seen],
    about: About,
    allowances: Allowances = Allowances(),  # noqa: B008  frozen
    fail_on: FailOn = FailOn.UNKNOWN,
) -> Check:
    """Judge every change by the traffic of the window that `about` speaks of.  Pure.

    `traffic` may lack shapes that no change concerns.
    """
    judging = Judging(compared, about, allowances)
    judging.add(traffic)
    return judging.answer(fail_on)


class Judging:
    """A check whose traffic comes in portions: what more of it could not change need not be fetched."""

    def __init__(self, compared: Comparison, about: About, allowances: Allowances) -> None:
        self._compared = compared
        self._about = about
        self._allowances = allowances
        self._judge = Judge(compared)
        self._hits: list[Affected] = [[] for _ in compared.changes]
        self._broken: dict[str, Affected] = defaultdict(list)  # by operation: though no change tells why
        self._judged: set[str] = set()
        self._left_out = 0

    def add(self, traffic: Iterable[Seen]) -> int:
        """Judge these shapes, as far as they are not judged yet; how many these were."""
        before = len(self._judged)
        concerned: list[Seen] = []
        for requested in traffic:
            if requested.id in self._judged:
                continue
            self._judged.add(requested.id)
            seen = self._allowances.counted(requested)
            self._left_out += requested.requests() - (seen.requests() if seen else 0)
            if seen and self._compared.concerns(seen.shape):
                concerned.append(seen)
        for seen, impact in zip(concerned, self._judge.judge([seen.shape for seen in concerned]), strict=True):
            for number, effect in impact.effects.items():
                self._hits[number].append((seen, effect))
            if impact.unexplained:
                self._broken[seen.shape.operation].append((seen, Effect(Hit.YES, impact.unexplained)))
        return len(self._judged) - before

    def open(self) -> list[Change]:
        """The changes of which more traffic could still change the verdict: all but those that are used."""
        changes = zip(self._compared.changes, self._hits, strict=True)
        return [change for change, affected in changes if not self._settled(change, affected)]

    def answer(self, fail_on: FailOn, unread: int = 0, unjudged: int = 0) -> Check:
        """`unread`: shapes that concern open changes and were not added; `unjudged`: those of all changes."""
        gaps = list(self._about.incomplete)
        if unread:
            gaps.append(f"{unread:,} more operations are concerned, and were not judged")
        changes, old = self._compared.changes, self._compared.schemas.old
        checked = [
            _checked(change, affected, may_keep_from_merging(old, change), gaps, self._allowances, self._about.requests)
            for change, affected in zip(changes, self._hits, strict=True)
        ]
        checked += self._operations_broken(gaps)
        outcome, changed = _outcome(checked), tuple(sorted(checked, key=rank))
        return Check(self._about, outcome, exit_code(outcome, changed, fail_on), self._left_out, unjudged, changed)

    def _operations_broken(self, gaps: list[str]) -> Iterator[CheckedChange]:
        """One change may have broken them all: a threshold is of their requests together."""
        broken = [(_operation_broken(affected), affected) for affected in self._broken.values()]
        marked = self._allowances.marks.keys()
        counted = [
            0
            if (change.id(), affected[0][0].shape.operation) in marked
            else sum(seen.requests() for seen, _ in affected)
            for change, affected in broken
        ]
        for (change, affected), number in zip(broken, counted, strict=True):
            besides = sum(counted) - number
            yield _checked(change, affected, False, gaps, self._allowances, self._about.requests, besides)

    def _settled(self, change: Change, affected: Affected) -> bool:
        counted, _ = self._allowances.passing(change, affected, self._about.requests)
        return any(effect.hit is Hit.YES for _, effect in counted)


def _checked(
    change: Change,
    affected: Affected,
    merging: bool,
    gaps: list[str],
    allowances: Allowances,
    requests: int,
    besides: int = 0,
) -> CheckedChange:
    affected, passed = allowances.passing(change, affected, requests, besides)
    hit = max((effect.hit for _, effect in affected), default=Hit.NO)
    reasons = [effect.why for _, effect in affected if effect.hit is hit and effect.why]
    verdict = {Hit.YES: Verdict.USED, Hit.MAYBE: Verdict.UNKNOWN, Hit.NO: Verdict.UNUSED}[hit]
    # A type's change can keep fields from merging in a document that nobody has seen, even if it is safe by itself.
    matters = change.severity is not Severity.SAFE or merging
    if verdict is Verdict.UNUSED and matters and gaps:
        verdict, reasons = Verdict.UNKNOWN, gaps
    shown = [seen for seen, effect in affected if effect.hit is hit]
    return CheckedChange(
        id=change.id(),
        kind=change.kind,
        coordinate=change.coordinate,
        detail=change.detail,
        message=change.message,
        severity=change.severity,
        verdict=verdict,
        reasons=tuple(dict.fromkeys(reasons))[:MAX_REASONS],
        passed=passed[:MAX_REASONS],
        requests=sum(seen.requests() for seen in shown),
        last_seen=_last(shown),
        operations=_operations(shown),
    )


def _operations(affected: list[Seen]) -> tuple[CheckedOperation, ...]:
    grouped: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for seen in affected:
        grouped[seen.shape.name, seen.shape.operation].append(seen)
    operations = [
        CheckedOperation(
            name=name,
            operation=operation,
            requests=sum(seen.requests() for seen in group),
            clients=tuple(
                sorted({f"{client} {version}".strip() for seen in group for client, version in seen.clients})
            ),
            last_seen=_last(group),
        )
        for (name, operation), group in grouped.items()
    ]
    return tuple(sorted(operations, key=lambda each: (-each.requests, each.name)))


def _last(seen: list[Seen]) -> datetime | None:
    return max((each.last_seen for each in seen if each.last_seen), default=None)


def _operation_broken(affected: Affected) -> Change:
    """For a document that breaks though no single breaking change says so, as when fields no longer merge."""
    (seen, effect), *_ = affected
    name = seen.named()
    return Change("operation_broken", name, Severity.BREAKING, f"{name} is not valid any more: {effect.why}")


def _outcome(checked: list[CheckedChange]) -> Outcome:
    """A change that is safe by itself can still be unknown, where only unseen documents could tell."""
    judged = [each for each in checked if each.severity is not Severity.DANGEROUS]
    if any(each.severity is Severity.BREAKING and each.verdict is Verdict.USED for each in judged):
        return Outcome.BREAKS
    return Outcome.UNKNOWN if any(each.verdict is Verdict.UNKNOWN for each in judged) else Outcome.SAFE
