"""What a check lets pass, and that nothing else passes with it."""

from __future__ import annotations

from typing import Any

import pytest
from world import SDL, World

from forebay.core.shape import OperationType, Shape
from forebay.insights.allowances import Allowances
from forebay.insights.check_answers import Check, CheckedChange, FailOn
from forebay.insights.mistakes import BadQuestion

WITHOUT_EMAIL = SDL.replace("  email: String\n", "")
PROFILE = "query Profile { user(id: 1) { id email } }"


@pytest.fixture
def world(world: World) -> World:
    """`User.email` in 10 requests of a current app, 2 of an old one, and 1 of a script; 987 others."""
    world.publish()
    world.start()
    world.request(PROFILE, 10, client="app", version="2", ago=1200)
    world.request(PROFILE, 2, client="app", version="1", ago=7200)
    world.request("query Script { users { email } }", 1, client="script", version="")
    world.request("{ users { name } }", 987)
    world.load()
    return world


def checked(world: World, sdl: str = WITHOUT_EMAIL, fail_on: FailOn = FailOn.UNKNOWN, **allowed: Any) -> Check:
    return world.insights.check(world.scope, sdl, None, "7d", allowances(**allowed), fail_on)


def allowances(**allowed: Any) -> Allowances:
    sets: dict[str, Any] = {key: frozenset(each) if isinstance(each, list) else each for key, each in allowed.items()}
    return Allowances(**sets)


def change(check: Check) -> CheckedChange:
    return next(each for each in check.changes if each.severity == "breaking")


@pytest.mark.parametrize(
    ("requests", "percent", "passes"),
    [(1, 0, False), (13, 0, False), (14, 0, True), (1, 1.3, False), (1, 1.31, True), (13, 1.4, True), (14, 0.1, True)],
)
def test_a_change_affects_somebody_only_if_both_thresholds_are_reached(
    world: World, requests: int, percent: float, passes: bool
) -> None:
    answer = checked(world, min_requests=requests, min_percent=percent)
    assert (answer.exit_code == 0) is passes
    assert change(answer).passed == (("13 of 1,000 requests are below the threshold",) if passes else ())


@pytest.mark.parametrize(("requests", "passes"), [(12, False), (13, True)])
def test_a_threshold_is_of_all_operations_that_one_change_broke(world: World, requests: int, passes: bool) -> None:
    """Though none of the changes is breaking: fields no longer merge, and each operation is listed by itself."""
    for number in range(4):
        world.request(
            f"query Q{number} {{ node(id: 1) {{ ... on User {{ k: email }} ... on Device {{ k: serial }} }} }}", 3
        )
    world.load()
    answer = checked(world, SDL.replace("  email: String", "  email: String!"), min_requests=requests)
    assert (answer.exit_code == 0) is passes
    assert len([each for each in answer.changes if each.kind == "operation_broken"]) == 4


@pytest.mark.parametrize(
    ("clients", "requests"),
    [([], 13), (["app"], 1), (["app@1"], 11), (["app@1", "script"], 10), (["app", "script"], 0), (["ap"], 13)],
)
def test_clients_and_their_versions_are_left_out_and_nobody_else(
    world: World, clients: list[str], requests: int
) -> None:
    answer = checked(world, clients=clients)
    assert (change(answer).requests, answer.left_out) == (requests, 13 - requests)
    assert answer.exit_code == (1 if requests else 0)


def test_operations_are_left_out_by_name_or_id(world: World) -> None:
    first, second = change(checked(world)).operations
    assert (first.name, second.name) == ("Profile", "Script")
    assert change(checked(world, operations=["Profile"])).requests == 1
    assert change(checked(world, operations=[first.operation])).requests == 1
    assert checked(world, operations=["Profile", second.operation]).exit_code == 0


def test_what_cannot_be_analysed_is_left_out_only_by_its_client(world: World) -> None:
    world.request(Shape("", "Big", OperationType.UNKNOWN, "", (), coverage=frozenset()), client="tool", version="")
    world.load()
    unused = SDL.replace(" serial: String", "")
    assert checked(world, unused).exit_code == 3
    assert checked(world, unused, clients=["app"]).exit_code == 3


def test_a_mark_lets_one_change_pass_for_one_operation_until_it_is_revoked(world: World) -> None:
    before = checked(world)
    profile, script = change(before).operations
    world.insights.marks.make(world.scope, change(before).id, profile.operation, "ann", "they know")
    marked = change(checked(world))
    assert marked.passed == ("marked as safe for Profile by ann: they know",)
    assert [each.name for each in marked.operations] == ["Script"]
    world.insights.marks.make(world.scope, marked.id, script.operation, "bob", "mine")
    assert checked(world).exit_code == 0
    world.insights.marks.revoke(world.scope, marked.id, script.operation, "bob", "not any more")
    assert checked(world).exit_code == 1
    made = world.insights.marks.all(world.scope)
    assert [(mark.author, mark.reason, mark.revoked) for mark in made] == [
        ("bob", "not any more", True),
        ("ann", "they know", False),
    ]


def test_a_mark_never_covers_another_change_of_the_same_place(world: World) -> None:
    """`String` to `Int` is not `String` to `[String]`, nor is one the removal."""
    for sdl in (SDL.replace("email: String\n", "email: Int\n"), WITHOUT_EMAIL):
        found = change(checked(world, sdl))
        for operation in found.operations:
            world.insights.marks.make(world.scope, found.id, operation.operation, "ann", "fine")
        assert checked(world, sdl).exit_code == 0
    assert checked(world, SDL.replace("email: String\n", "email: [String]\n")).exit_code == 1


def test_marks_are_of_one_graph_and_only_what_is_marked_is_revoked(world: World) -> None:
    found = change(checked(world))
    other = world.scope._replace(graph="other")
    world.insights.marks.make(other, found.id, found.operations[0].operation, "ann", "there")
    assert checked(world).exit_code == 1
    assert world.insights.marks.all(world.scope) == []
    with pytest.raises(BadQuestion, match="not marked"):
        world.insights.marks.revoke(world.scope, found.id, "x", "ann", "why")
    with pytest.raises(BadQuestion, match="reason"):
        world.insights.marks.make(world.scope, found.id, "x", "ann", "  ")


def test_what_a_check_fails_for(world: World) -> None:
    unused = SDL.replace(" serial: String", "")
    assert [checked(world, unused, on).exit_code for on in FailOn] == [0, 0, 1]
    assert [checked(world, fail_on=on).exit_code for on in FailOn] == [1, 1, 1]
    assert [checked(world, SDL, on).exit_code for on in FailOn] == [0, 0, 0]
    young = [world.insights.check(world.scope, unused, None, "90d", fail_on=on).exit_code for on in FailOn]
    assert young == [0, 3, 1]


def test_whom_a_change_concerns_was_last_seen(world: World) -> None:
    found = change(checked(world))
    profile, script = found.operations
    assert found.last_seen == script.last_seen
    assert profile.last_seen is not None
    assert script.last_seen is not None
    assert profile.last_seen < script.last_seen


@pytest.mark.parametrize(
    "wrong", [{"min_requests": 0}, {"min_percent": 101}, {"clients": [""]}, {"operations": ["", "x"]}]
)
def test_an_allowance_that_could_let_everything_pass_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadQuestion):
        allowances(**wrong)
