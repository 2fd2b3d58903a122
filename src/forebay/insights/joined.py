"""One answer of the checks against several versions that are served side by side.  Pure.

A change that several have is said once, with the worst that any says of it; of what only another
version than the newest has, the message says so.  Changes that are safe there are the newest's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .answers import Verdict
from .check_answers import Check, CheckedChange, FailOn, Outcome, exit_code, rank
from .place_changes import Severity

_WORSE = (Outcome.SAFE, Outcome.UNKNOWN, Outcome.BREAKS)


def joined(checks: Mapping[str, Check], unknown: Sequence[str], fail_on: FailOn) -> Check:
    """`checks` by version, the newest first; `unknown` are served and were not compared."""
    first, *_ = checks.values()
    found = {change.id: change for change in first.changes}
    for version, check in checks.items():
        for change in check.changes:
            known = found.get(change.id)
            if known is None and (change.severity is not Severity.SAFE or change.verdict is not Verdict.UNUSED):
                message = f"{change.message} (of schema version {version[:8]}…, which is served as well)"
                found[change.id] = replace(change, message=message)
            elif known is not None and (rank(change), -change.requests) < (rank(known), -known.requests):
                found[change.id] = replace(change, message=known.message)
    least = Outcome.UNKNOWN if unknown else Outcome.SAFE
    outcome = max((least, *(each.verdict for each in checks.values())), key=_WORSE.index)
    return replace(
        first,
        verdict=outcome,
        exit_code=exit_code(outcome, tuple(found.values()), fail_on),
        left_out=max(each.left_out for each in checks.values()),
        unjudged=max(each.unjudged for each in checks.values()),
        changes=tuple(sorted((*found.values(), *map(_not_compared, unknown)), key=rank)),
    )


def _not_compared(version: str) -> CheckedChange:
    """Stands for all that may be another from there to the new schema; no mark lets it pass."""
    return CheckedChange(
        id="",
        kind="version_not_compared",
        coordinate=version,
        detail="",
        message=f"schema version {version} is served as well, and was not compared: what only it has may be lost",
        severity=Severity.BREAKING,
        verdict=Verdict.UNKNOWN,
        reasons=("it was not published, or more versions are served than are compared",),
        passed=(),
        requests=0,
        last_seen=None,
        operations=(),
    )
