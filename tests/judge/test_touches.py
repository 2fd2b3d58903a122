"""Only shapes that a change touches are judged: no other one has an effect, whatever its reporter sees."""

from __future__ import annotations

from random import Random

import pytest

from forebay.insights.mistakes import BadSchema
from forebay.insights.published import build
from forebay.insights.schema_impact import Judge
from forebay.insights.touches import Comparison

from .judge import COVERAGES, as_seen, valid, working
from .mutations import mutated
from .schemas import Model


@pytest.mark.parametrize("seed", range(12))
def test_what_is_not_touched_has_no_effect(seed: int) -> None:
    rng = Random(seed)
    model, ran = valid(rng)
    if seed % 3 == 0:  # what is served has moved on from what the traffic ran on
        model = moved_on(model, rng)
    old = build(model.sdl(), "old schema")
    shapes = [each.shape for each in working(ran, old, rng)]
    judged = spared = 0
    for _ in range(12):
        try:
            new = build(mutated(model, rng.randrange(2**32)).sdl(), "new schema")
        except BadSchema:
            continue
        compared = Comparison(old, new)
        found = compared.changes
        judge = Judge(old, new, found)
        for coverage in COVERAGES:
            for shape in shapes:
                seen = as_seen(shape, coverage)
                concerned = compared.touched(coverage).concerns(seen)
                spared += not concerned
                impact = judge.judge(seen)
                judged += bool(impact.effects or impact.unexplained)
                assert concerned or not (impact.effects or impact.unexplained), ([str(c) for c in found], seen, impact)
    assert judged
    assert spared


def moved_on(model: Model, rng: Random) -> Model:
    while True:
        changed = mutated(model, rng.randrange(2**32))
        try:
            build(changed.sdl(), "old schema")
        except BadSchema:
            continue
        return changed
