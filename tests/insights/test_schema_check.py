"""The schema check, asked of the real engine: who is affected, and when it must not say so."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from graphql import build_schema
from world import SDL, World

from forebay.agent.extract import Extractor
from forebay.core.shape import OperationType, Shape
from forebay.insights import insights
from forebay.insights.allowances import Allowances
from forebay.insights.answers import Verdict
from forebay.insights.check_answers import Check, CheckedChange, Outcome
from forebay.insights.mistakes import BadQuestion, BadSchema
from forebay.store.clickhouse import ClickHouse
from forebay.store.refill import Refill
from forebay.store.window import EMBEDDED

PROFILE = "query Profile($id: ID!) { user(id: $id) { id email } }"
LIST = "query List($f: UserFilter) { users(filter: $f) { name } }"
WITHOUT_EMAIL = SDL.replace("  email: String\n", "")
WITHOUT_SERIAL = SDL.replace(" serial: String", "")


def checked(world: World, sdl: str, last: str = "7d", against: str | None = None) -> Check:
    return world.insights.check(world.scope, sdl, against, last)


def breaking(check: Check) -> CheckedChange:
    (change,) = [each for each in check.changes if each.severity == "breaking"]
    return change


def test_a_field_in_use_breaks_and_the_answer_names_operations_and_clients(world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, 10, client="Android App", version="1.3.4", variables={"id": "1"})
    world.request(PROFILE, 5, client="web", version="", variables={"id": "2"})
    world.request("{ users { name } }", 100)
    world.load()
    answer = checked(world, WITHOUT_EMAIL)
    assert (answer.verdict, answer.exit_code) == (Outcome.BREAKS, 1)
    change = breaking(answer)
    assert (change.kind, change.coordinate, change.verdict) == ("field_removed", "User.email", Verdict.USED)
    assert change.requests == 15
    (operation,) = change.operations
    assert (operation.name, operation.requests) == ("Profile", 15)
    assert operation.clients == ("Android App 1.3.4", "web")


def test_a_field_that_nobody_uses_can_go(world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, variables={"id": "1"})
    world.load()
    answer = checked(world, WITHOUT_SERIAL)
    assert (answer.verdict, answer.exit_code) == (Outcome.SAFE, 0)
    assert breaking(answer).verdict is Verdict.UNUSED


def test_an_incomplete_window_makes_unused_unknown_and_says_why(world: World) -> None:
    world.publish()
    world.start(days=3)
    world.load()
    answer = checked(world, WITHOUT_SERIAL)
    assert (answer.verdict, answer.exit_code) == (Outcome.UNKNOWN, 3)
    assert "before the first data" in breaking(answer).reasons[0]
    assert checked(world, WITHOUT_SERIAL, last="2d").verdict is Outcome.SAFE


def test_what_was_used_before_the_window_does_not_count(world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, ago=5 * 86_400, variables={"id": "1"})
    world.load()
    assert checked(world, WITHOUT_EMAIL, last="2d").verdict is Outcome.SAFE
    assert checked(world, WITHOUT_EMAIL, last="7d").verdict is Outcome.BREAKS


def test_what_only_variables_carried_is_found_by_the_states_of_inputs(world: World) -> None:
    world.publish()
    world.start()
    world.request(LIST, 3, variables={"f": {"email": "x"}})
    world.request(LIST, 4, variables={"f": {"name": "x"}})
    world.load()
    answer = checked(world, SDL.replace("name: String, email: String, active", "name: String, active"))
    assert breaking(answer).requests == 3
    required = checked(
        world, SDL.replace("name: String, email: String, active", "name: String!, email: String, active")
    )
    assert breaking(required).requests == 3


def test_an_operation_that_was_not_analysed_makes_the_answer_unknown(world: World) -> None:
    world.publish()
    world.start()
    world.request(Shape("", "Big", OperationType.UNKNOWN, "", (), coverage=frozenset()))
    world.load()
    answer = checked(world, WITHOUT_SERIAL)
    assert answer.exit_code == 3
    assert [operation.name for operation in breaking(answer).operations] == ["Big"]


def test_a_request_without_a_description_makes_the_answer_unknown(world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, described=False)
    world.load()
    assert checked(world, WITHOUT_SERIAL).exit_code == 3


def test_an_operation_that_was_invalid_all_along_breaks_nothing(world: World) -> None:
    world.publish()
    world.start()
    world.request("{ user(id: 1) { email nope } }", 50)
    world.load()
    assert checked(world, WITHOUT_EMAIL).verdict is Outcome.SAFE


def test_the_same_schema_changes_nothing_and_is_safe(world: World) -> None:
    world.publish()
    world.load()
    answer = checked(world, SDL)
    assert (answer.changes, answer.exit_code) == ((), 0)


def test_fields_that_no_longer_merge_are_found_though_the_change_looks_safe(clean: ClickHouse, tmp_path: Path) -> None:
    old = "type Query { i: I } interface I { id: ID } type X implements I { id: ID f: String }"
    old += " type Y implements I { id: ID f: String }"
    new = old.replace("X implements I { id: ID f: String }", "X implements I { id: ID f: String! }")
    world = World(clean, tmp_path / "journal", "merging", sdl=old)
    world.publish(old)
    world.start(document="{ i { id } }")
    world.request("query Both { i { ... on X { f } ... on Y { f } } }", 4)
    world.load()
    answer = checked(world, new)
    assert answer.exit_code == 1
    assert (breaking(answer).kind, breaking(answer).coordinate) == ("operation_broken", "Both")
    assert "conflict" in breaking(answer).message
    assert [change.severity for change in answer.changes] == ["breaking", "safe"]
    world.close()


def test_a_schema_can_be_checked_against_another_than_the_published_one(world: World) -> None:
    world.start()
    world.request(PROFILE, variables={"id": "1"})
    world.load()
    with pytest.raises(BadQuestion, match="against"):
        checked(world, WITHOUT_EMAIL)
    assert checked(world, WITHOUT_EMAIL, against=SDL).exit_code == 1


@pytest.mark.parametrize(
    ("sdl", "words"),
    [
        ("", "empty"),
        ("  \n# nothing\n", "Unexpected <EOF>"),
        ("type Query {", "line 1, column 13"),
        ("type Query { a: Foo }\ntype X { b: Bar }", "line 2, column 13"),
        ("type A { a: Int }", "Query root type"),
        ("type Query { a: Int @nope }", "@nope"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_every_error_and_its_place(world: World, sdl: str, words: str) -> None:
    world.publish()
    world.load()
    with pytest.raises(BadSchema) as caught:
        checked(world, sdl)
    assert any(words in problem for problem in caught.value.problems), caught.value.problems
    assert "new schema" in str(caught.value)


def test_directives_that_a_router_leaves_in_the_published_schema_do_not_matter(world: World) -> None:
    world.publish("type Query @join__type(graph: A) { a: Int @join__field b: Int }")
    world.start()
    world.load()
    assert checked(world, "type Query { a: Int }").exit_code in (0, 1)


def test_what_is_known_to_break_someone_is_not_judged_for_everyone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else changes is: nothing is called unused before all that concerns it was judged."""
    world.publish()
    world.start()
    for number in range(5):
        world.request(f"query P{number} {{ user(id: 1) {{ email name }} }}", 10)
    world.load()
    monkeypatch.setattr(insights, "FIRST_SHAPES", 2)
    answer = checked(world, WITHOUT_EMAIL)
    assert (answer.verdict, answer.unjudged, len(breaking(answer).operations)) == (Outcome.BREAKS, 3, 2)
    answer = checked(world, WITHOUT_EMAIL.replace(" serial: String", ""))
    verdicts = {each.coordinate: each.verdict for each in answer.changes}
    assert verdicts["User.email"] is Verdict.USED
    assert set(verdicts.values()) == {Verdict.USED, Verdict.UNUSED}
    high = world.insights.check(world.scope, WITHOUT_EMAIL, None, "7d", Allowances(min_requests=50))
    assert (high.verdict, high.unjudged, breaking(high).requests) == (Outcome.BREAKS, 0, 50)
    monkeypatch.setattr(insights, "MOST_SHAPES", 4)
    high = world.insights.check(world.scope, WITHOUT_EMAIL, None, "7d", Allowances(min_requests=50))
    assert (high.exit_code, high.unjudged) == (3, 1)
    assert breaking(high).reasons == ("1 more operations are concerned, and were not judged",)


@pytest.mark.parametrize("loss", ["", "DROP TABLE", "TRUNCATE TABLE"])
def test_a_type_that_was_renamed_meanwhile_is_judged_by_the_traffic_of_before(
    world: World, clean: ClickHouse, loss: str
) -> None:
    world.publish()
    world.start()
    world.request("{ users { name } }", 7)
    world.load()
    if loss:
        clean.command(f"{loss} field_types")
        Refill(clean, EMBEDDED, date(2026, 1, 1)).restore()
    renamed = SDL.replace("User", "Person")
    answer = checked(world, renamed.replace("  name: String!\n", ""), against=renamed)
    requests = {each.coordinate: each.requests for each in answer.changes if each.severity == "breaking"}
    assert answer.verdict is Outcome.BREAKS
    assert requests["Person.name"] == 7


ROOTED = "type Query { me: P root: Root } type Root { me: P } type P { a: Int }"
OPAQUE = "enum S { A B } type Query { q(s: S): Int }"
JOINED = "interface N { f(x: Int! = 1): Int } type X implements N { f(x: Int! = 1): Int } type Query { n: N x: X }"


@pytest.mark.parametrize(
    ("old", "then", "change", "source", "variables"),
    [
        (OPAQUE, ("enum S { A B }", "scalar S"), ("A B", "A"), "query ($s: S) { q(s: $s) }", {"s": "B"}),
        (
            JOINED,
            ("X implements N", "X"),
            ("X implements N { f(x: Int! = 1)", "X implements N { f(x: Int!)"),
            "{ n { f } }",
            {},
        ),
    ],
    ids=["a scalar that became an enum", "a type that joined an interface"],
)
def test_what_ran_when_the_schema_was_another_is_fetched_and_unknown(
    world: World, old: str, then: tuple[str, str], change: tuple[str, str], source: str, variables: dict[str, str]
) -> None:
    world.publish()
    world.start()
    world.request(Extractor(build_schema(old.replace(*then))).operation(source).shape(variables), 3)
    world.load()
    answer = checked(world, old.replace(*change), against=old)
    assert (answer.verdict, breaking(answer).requests) == (Outcome.UNKNOWN, 3)


def test_what_began_at_another_root_that_is_a_type_like_others_now_is_fetched(world: World) -> None:
    """None of its entries speaks of the root of today."""
    ran = "schema { query: Root } " + ROOTED
    world.publish(ran)
    world.start()
    world.request(Extractor(build_schema(ran)).operation("{ me { a } }").shape({}), 3)
    world.load()
    answer = checked(world, ROOTED.replace("Query { me: P ", "Query { "), against=ROOTED)
    assert answer.verdict is Outcome.BREAKS
    [broken] = [each for each in answer.changes if each.kind == "operation_broken"]
    assert broken.requests == 3
