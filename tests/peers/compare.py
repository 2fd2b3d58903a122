"""Our classification of schema changes beside graphql-inspector's, on the cases of the truth and random pairs.

`make peers` installs it with npm, prints the table, and fails for a difference that is not listed here
with who is right.  It is no dependency, and no part of `make test`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from judge.mutations import mutated
from judge.schemas import Maker

from forebay.insights.mistakes import BadSchema
from forebay.insights.place_changes import Change
from forebay.insights.published import build
from forebay.insights.schema_changes import changes

HERE = Path(__file__).parent
TRUTH = HERE.parent / "fixtures" / "truth"
RANDOM_PAIRS = 600
RANK = ("safe", "dangerous", "breaking")
THEIRS = {"NON_BREAKING": "safe", "DANGEROUS": "dangerous", "BREAKING": "breaking"}

REASONS = {
    ("argument_default_changed", "breaking", "dangerous"): "ours: a default taken from a non-null argument makes it "
    "required (5.4.2.1 Required Arguments); `{ a }` is refused",
    ("input_field_default_changed", "breaking", "dangerous"): "ours: the same for an input field (5.6.4 Input Object "
    "Required Fields)",
    ("directive_repeatable_removed", "breaking", "dangerous"): "ours: `@d @d` is refused (5.7.3 Directives Are Unique "
    "per Location)",
    ("directive_argument_removed", "breaking", "safe"): "ours: it does not compare `@skip` and `@include` that a "
    "schema defines anew (5.4.1 Argument Names)",
    ("directive_argument_added", "breaking", "safe"): "ours: the same (5.4.2.1 Required Arguments)",
    ("directive_location_removed", "breaking", "safe"): "ours: the same (5.7.2 Directives Are in Valid Locations)",
    ("directive_argument_type_changed", "breaking", "safe"): "ours: the same (5.4.2.1 Required Arguments)",
    ("directive_argument_default_changed", "breaking", "dangerous"): "ours: a default taken from a directive's "
    "non-null argument makes it required (5.4.2.1 Required Arguments)",
    ("type_added", "dangerous", "safe"): "policy: an object type that joins an existing interface can come back where "
    "clients did not expect it; no document breaks (3.7 Interfaces)",
    ("input_field_added", "dangerous", "safe"): "policy: an optional input field; it calls one with a default "
    "dangerous, graphql-core all of them (3.10 Input Objects)",
    ("directive_removed", "safe", "breaking"): "ours: no operation can use a directive without an executable location "
    "(3.13 Directives)",
    ("directive_usage_added", "safe", "dangerous"): "policy: what stands on a type system element is not visible to "
    "operations (3.13 Directives)",
    ("directive_usage_removed", "safe", "dangerous"): "policy: the same",
    ("enum_value_added", "safe", "dangerous"): "ours: nothing returns the enum, so nobody can receive the value "
    "(3.9 Enums)",
}
"""(our kind, our severity, its severity) → who is right, and by which section of the specification (September 2025)."""


def pairs() -> list[tuple[str, str]]:
    truth = json.loads((TRUTH / "schema_changes.json").read_text())["cases"]
    corners = json.loads((TRUTH / "corners.json").read_text())["cases"]
    found = [(case["old"], case["new"]) for case in truth]
    found += [(case["schema"], case["schema"].replace(*case["change"])) for case in corners]
    rng = Random(1)
    while len(found) < len(truth) + len(corners) + RANDOM_PAIRS:
        model = Maker(rng).make()
        changed = mutated(model, rng.randrange(2**32))
        try:
            build(model.sdl(), "old schema")
            build(changed.sdl(), "new schema")
        except BadSchema:
            continue
        found.append((model.sdl(), changed.sdl()))
    return found


def inspected(found: list[tuple[str, str]]) -> list[Any]:
    """What graphql-inspector says of each pair: kind, path and level of each change."""
    asked = json.dumps([{"old": old, "new": new} for old, new in found])
    result = subprocess.run(
        ["node", str(HERE / "inspector.mjs")], input=asked, capture_output=True, text=True, check=True, cwd=HERE
    )
    answers: list[Any] = json.loads(result.stdout)
    return answers


def main() -> None:
    agreed: Counter[str] = Counter()
    differing: Counter[tuple[str, str, str]] = Counter()
    unknown = []
    compared = pairs()
    for (old, new), answer in zip(compared, inspected(compared), strict=True):
        ours = changes(build(old, "old schema"), build(new, "new schema"))
        mine = _worst(change.severity.value for change in ours)
        theirs = "refused" if isinstance(answer, str) else _worst(THEIRS[level] for _, _, level in answer)
        if mine == theirs:
            agreed[mine] += 1
            continue
        key = (_cause(ours, mine, theirs), mine, theirs)
        differing[key] += 1
        if key not in REASONS:
            unknown.append((key, answer, ours))
    print("| both say | pairs |\n|---|--:|")
    for severity in RANK:
        print(f"| {severity} | {agreed[severity]} |")
    print("\n| ours | says | graphql-inspector | pairs | who is right |\n|---|---|---|--:|---|")
    for (kind, mine, theirs), number in sorted(differing.items()):
        print(f"| {kind} | {mine} | {theirs} | {number} | {REASONS.get((kind, mine, theirs), '**not known**')} |")
    for difference in unknown[:5]:
        print(difference, file=sys.stderr)
    sys.exit(bool(unknown))


def _worst(severities: Any) -> str:
    return max(severities, key=RANK.index, default="safe")


def _cause(ours: list[Change], mine: str, theirs: str) -> str:
    """Our change that makes the difference: the first of our worst; where theirs is worse, a directive or value."""
    kinds = [change.kind for change in ours if change.severity.value == mine]
    known = [kind for kind in kinds if (kind, mine, theirs) in REASONS]
    return (known or kinds or ["nothing"])[0]


if __name__ == "__main__":
    main()
