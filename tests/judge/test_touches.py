"""Only shapes that a change touches are judged: no other one has an effect, whatever its reporter sees."""

from __future__ import annotations

from random import Random

import pytest

from forebay.insights.allowances import Allowances
from forebay.insights.check_answers import Check, FailOn
from forebay.insights.mistakes import BadSchema
from forebay.insights.published import build
from forebay.insights.schema_check import Judging, check
from forebay.insights.schema_impact import Judge
from forebay.insights.seen import Seen
from forebay.insights.touches import Comparison

from .judge import COMPLETE, COVERAGES, as_seen, valid, working
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
        judge = Judge(compared)
        for coverage in COVERAGES:
            for shape in shapes:
                seen = as_seen(shape, coverage)
                concerned = compared.concerns(seen)
                spared += not concerned
                [impact] = judge.judge([seen])
                judged += bool(impact.effects or impact.unexplained)
                assert concerned or not (impact.effects or impact.unexplained), ([str(c) for c in found], seen, impact)
    assert judged
    assert spared


@pytest.mark.parametrize("seed", range(8))
def test_what_more_traffic_cannot_change_need_not_be_fetched(seed: int) -> None:
    """Some traffic, and of the rest what touches changes that are open then: each verdict is that of all traffic."""
    rng = Random(seed)
    model, ran = valid(rng)
    old = build(model.sdl(), "old schema")
    traffic = [
        Seen(str(number), as_seen(each.shape, rng.choice(COVERAGES)), {("web", "1"): rng.randint(1, 9)})
        for number, each in enumerate(working(ran, old, rng))
    ]
    spared = 0
    for _ in range(25):
        changed = model
        for _ in range(rng.randint(1, 4)):
            changed = mutated(changed, rng.randrange(2**32))
        try:
            compared = Comparison(old, build(changed.sdl(), "new schema"))
        except BadSchema:
            continue
        allowances = Allowances(min_requests=rng.choice([1, 1, 12]))
        judging = Judging(compared, COMPLETE, allowances)
        rng.shuffle(traffic)
        first = traffic[: len(traffic) // 4]
        judging.add(first)
        still = judging.open()
        rest = [each for each in traffic if compared.touched(each.shape.coverage, still).concerns(each.shape)]
        rest += [each for each in traffic if compared.moved.shape(each.shape)]
        spared += len(traffic) - len({each.id for each in (*first, *rest)})
        judging.add(rest)
        portions, whole = judging.answer(FailOn.UNKNOWN), check(compared, traffic, COMPLETE, allowances)
        assert verdicts(portions) == verdicts(whole), changed.sdl()
        assert portions.exit_code == whole.exit_code
    assert spared


def verdicts(answer: Check) -> set[tuple[str, str]]:
    return {(each.id, each.verdict) for each in answer.changes if each.kind != "operation_broken"}


def moved_on(model: Model, rng: Random) -> Model:
    while True:
        changed = mutated(model, rng.randrange(2**32))
        try:
            build(changed.sdl(), "old schema")
        except BadSchema:
            continue
        return changed
