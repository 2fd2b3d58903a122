"""Versions of a schema that are served side by side: a check without `against` is against all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from world import SDL, World

from forebay.core.shape import content_hash
from forebay.insights import served as module
from forebay.insights.answers import Verdict
from forebay.insights.check_answers import Check, FailOn, Outcome
from forebay.insights.served import is_served

PROFILE = "query Profile { user(id: 1) { id email } }"
WITHOUT_EMAIL = SDL.replace("  email: String\n", "")
SERVED, NEWEST = content_hash(SDL.encode()), content_hash(WITHOUT_EMAIL.encode())
HOUR, DAY = 3_600, 86_400


def checked(world: World, sdl: str = WITHOUT_EMAIL, against: str | None = None, last: str = "7d") -> Check:
    return world.insights.check(world.scope, sdl, against, last)


def publish(world: World, *texts: str) -> None:
    """The last one is the newest."""
    for text in texts:
        world.now += 1
        world.publish(text)


def canary(world: World, ago: float = 600, newest: float = 600) -> None:
    """`User.email` was in the version before the newest, which had its last request so long ago."""
    publish(world, SDL, WITHOUT_EMAIL)
    world.start()
    world.request(PROFILE, 5, ago=ago + 600, schema=SERVED)
    world.request(PROFILE, 5, ago=ago, schema=SERVED)
    world.request("{ users { name } }", 90, ago=newest, schema=NEWEST)
    world.load()


def test_a_field_that_only_an_older_version_has_is_lost_if_that_is_served_as_well(world: World) -> None:
    canary(world)
    answer = checked(world)
    [change] = answer.changes
    assert (answer.verdict, answer.exit_code) == (Outcome.BREAKS, 1)
    assert (change.coordinate, change.verdict, change.requests) == ("User.email", Verdict.USED, 10)
    assert change.message == (
        f"field User.email was removed (of schema version {SERVED[:8]}…, which is served as well)"
    )
    assert checked(world, against=WITHOUT_EMAIL).changes == ()


def test_what_was_removed_by_a_rollout_that_is_over_is_no_change_any_more(world: World) -> None:
    canary(world, ago=3 * HOUR)
    assert checked(world).changes == ()


def test_when_nobody_asks_anything_the_last_hour_with_requests_counts(world: World) -> None:
    canary(world, ago=3 * DAY + 600, newest=3 * DAY)
    assert checked(world).verdict is Outcome.BREAKS
    assert checked(world, last="2d").changes == ()


def test_a_mark_is_for_the_change_whichever_version_it_is_of(world: World) -> None:
    canary(world)
    [change] = checked(world).changes
    world.insights.marks.make(world.scope, change.id, change.operations[0].operation, "ann", "they know")
    assert checked(world).verdict is Outcome.SAFE


def test_a_change_of_several_versions_is_said_once_and_safe_ones_of_the_newest_alone(world: World) -> None:
    newest = SDL.replace("serial: String", "serial: String model: String")
    publish(world, SDL, newest)
    world.start()
    world.request(PROFILE, 5, schema=SERVED)
    world.load()
    answer = checked(world, newest.replace("  email: String\n", ""))
    assert [(each.coordinate, each.requests, each.message) for each in answer.changes] == [
        ("User.email", 5, "field User.email was removed")
    ]


def test_a_change_that_is_safe_from_the_newest_version_can_break_those_of_another(world: World) -> None:
    """The argument of a directive that no operation can use any more."""
    older, newest = (f"directive @d(a: Int) on {where} type Query {{ a: Int }}" for where in ("FIELD", "OBJECT"))
    publish(world, older, newest)
    world.start()
    world.request("{ __typename }", schema=content_hash(older.encode()))
    world.load()
    found = [(each.severity, each.kind) for each in checked(world, newest.replace("(a: Int)", "")).changes]
    assert found == [
        ("breaking", "directive_argument_removed"),
        ("breaking", "directive_location_removed"),
        ("safe", "directive_argument_removed"),
    ]


@pytest.mark.parametrize(("version", "outcome"), [("0" * 32, Outcome.UNKNOWN), ("6e1c-router-config", Outcome.SAFE)])
def test_an_agents_version_that_was_not_published_is_unknown(world: World, version: str, outcome: Outcome) -> None:
    """What other reporters stamp names no schema: a router of Cosmo's the version of its configuration."""
    world.publish(SDL)
    world.start()
    world.request("{ users { name } }", schema=version)
    world.load()
    answer = checked(world, SDL)
    assert answer.verdict is outcome
    assert [each.coordinate for each in answer.changes] == ([version] if outcome is Outcome.UNKNOWN else [])
    exits = [world.insights.check(world.scope, SDL, fail_on=fail_on, last="7d").exit_code for fail_on in FailOn]
    assert exits == ([0, 3, 3] if outcome is Outcome.UNKNOWN else [0, 0, 0])


def test_of_too_many_versions_those_seen_most_often_are_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    texts = [SDL + f"type T{number} {{ a: Int }}" for number in range(3)]
    world.start()
    publish(world, *texts, SDL)
    for number, text in enumerate(texts):
        for ago in (1200, 600)[number > 0 :]:
            world.request("{ users { name } }", schema=content_hash(text.encode()), ago=ago)
    world.load()
    answer = checked(world, SDL)
    assert answer.verdict is Outcome.UNKNOWN
    others = {content_hash(text.encode()) for text in texts[1:]}
    assert {each.coordinate for each in answer.changes} == {"T0", *others}


@pytest.mark.parametrize(
    ("times", "silence", "served"),
    [
        ([0, 300, 600], HOUR, True),
        ([0, 300, 600], HOUR + 1, False),
        ([0, 4 * HOUR], 8 * HOUR, True),
        ([4 * HOUR, 0], 8 * HOUR + 1, False),
        ([0], 23 * HOUR, True),
    ],
)
def test_a_version_is_gone_when_it_is_silent_for_an_hour_or_for_twice_its_longest_silence(
    times: Sequence[int], silence: int, served: bool
) -> None:
    assert is_served(times, max(times) + silence) is served
