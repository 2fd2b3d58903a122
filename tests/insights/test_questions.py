"""The questions, asked of the real engine after the real loader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from world import SDL, World

from forebay.core.coordinate import Entry, Kind, State
from forebay.core.execution import Outcome
from forebay.core.histogram import bucket, quantile
from forebay.core.shape import Coverage, Shape
from forebay.insights.answers import Reason, Verdict
from forebay.insights.mistakes import BadQuestion

PROFILE = "query Profile($id: ID!) { user(id: $id) { id email nick } }"
LIST = "query List($f: UserFilter) { users(filter: $f, role: ADMIN) { name } }"


def verdicts(world: World, last: str = "7d") -> dict[str, Verdict]:
    answer = world.ask(last).schema_use()
    outer = [use for type_ in answer.types for use in (type_.use, *type_.elements)]
    return {each.coordinate: each.verdict for use in outer for each in (use, *use.arguments)}


def test_who_uses_a_field_counts_each_shape_once_however_often_it_was_described(world: World) -> None:
    world.publish()
    for _ in range(3):
        world.request(PROFILE, 10, client="Android App", version="1.3.4", variables={"id": "1"}, errors=2)
        world.load()
    world.request("{ user(id: 2) { email } }", 5, client="web")
    world.load()
    answer = world.ask().clients_of("User.email")
    assert answer.known is True
    assert answer.requests == 35
    first, second = answer.uses
    assert (first.client, first.client_version, first.name, first.type) == ("Android App", "1.3.4", "Profile", "query")
    assert (first.requests, first.errors, first.kinds, first.states) == (30, 6, (Kind.FIELD,), ())
    assert (second.client, second.requests) == ("web", 5)


def test_a_coordinate_means_a_field_an_input_field_or_an_enum_value_and_the_answer_says_which(world: World) -> None:
    world.publish()
    world.request(LIST, 3, variables={"f": {"email": "x"}})
    world.request(LIST, 4, variables={"f": {"name": None}})
    world.load()
    asking = world.ask()
    assert [(use.kinds, use.states, use.requests) for use in asking.clients_of("UserFilter.email").uses] == [
        ((Kind.INPUT,), ("given",), 3)
    ]
    assert [use.states for use in asking.clients_of("UserFilter.name").uses] == [("null",)]
    assert asking.clients_of("Role.ADMIN").requests == 7
    assert asking.clients_of("Query.users(role:)").requests == 7


def test_a_list_of_uses_that_is_cut_off_still_counts_them_all(world: World) -> None:
    for number in range(5):
        world.request("{ user(id: 1) { email } }", 10 + number, client=f"client{number}")
    world.load()
    answer = world.ask().clients_of("User.email", limit=2)
    assert [use.client for use in answer.uses] == ["client4", "client3"]
    assert (answer.total, answer.requests) == (5, 60)


def test_where_errors_arose_and_for_whom(world: World) -> None:
    profile = world.request(PROFILE, 10, errors=4, client="app")
    users = world.request("query All { users { email } }", 5, errors=2)
    for _ in range(2):
        world.outcome(profile, "User.email", Outcome(requests=2, errors=3), client="app")
    world.outcome(users, "User.email", Outcome(requests=2, errors=5))
    world.outcome(users, "Query.users", Outcome(requests=1, errors=1))
    world.outcome(users, "", Outcome(requests=1, errors=2))
    world.outcome(users, "User.email", Outcome(requests=1, errors=1), ago=8 * 86_400)
    world.load()
    asking = world.ask()
    answer = asking.errors()
    assert (answer.errors, answer.unattributed, answer.total) == (14, 2, 2)
    assert [(each.coordinate, each.errors, each.requests, each.clients) for each in answer.fields] == [
        ("User.email", 11, 6, 2),
        ("Query.users", 1, 1, 1),
    ]
    assert [each.coordinate for each in asking.errors(limit=1).fields] == ["User.email"]
    of_one = asking.errors(operation=users.operation)
    assert (of_one.errors, of_one.unattributed, of_one.total) == (8, 2, 2)
    at = asking.errors_at(" User.email ")
    assert (at.errors, at.requests, at.executions) == (11, 6, None)
    assert [(use.client, use.name, use.operation, use.errors, use.requests) for use in at.uses] == [
        ("app", "Profile", profile.operation, 6, 4),
        ("web", "All", users.operation, 5, 2),
    ]
    assert [at.total, *(use.client for use in asking.errors_at("User.email", limit=1).uses)] == [2, "app"]
    nothing = asking.errors_at("User.name")
    assert (nothing.errors, nothing.total, nothing.uses, nothing.executions) == (0, 0, (), None)


def test_executions_are_an_estimate_that_tells_what_was_seen(world: World) -> None:
    shape = world.request(PROFILE)
    quick, slow = bucket(0.001), bucket(0.1)
    world.outcome(shape, "User.email", Outcome(executions=1_000, sampled=10, failed=100, duration={quick: 1_000}))
    world.outcome(shape, "User.email", Outcome(executions=100, sampled=10, duration={slow: 100}), client="app")
    world.load()
    found = world.ask().errors_at("User.email")
    assert found.errors == 0
    assert found.executions
    assert (found.executions.executions, found.executions.failed, found.executions.sampled) == (1_100, 100, 20)
    assert (found.executions.p50, found.executions.p95) == (quantile({quick: 1}, 0.5), quantile({slow: 1}, 0.5))
    assert world.ask().errors().fields == ()


def test_an_argument_that_was_left_out_is_not_used(world: World) -> None:
    world.publish()
    world.start()
    world.request(LIST, 3)
    world.load()
    asking = world.ask()
    assert asking.clients_of("Query.users(first:)").uses == ()
    assert "Query.users(first:)" not in {use.coordinate for use in asking.fields_of("web").uses}
    assert verdicts(world)["Query.users(first:)"] is Verdict.UNUSED


def test_an_unknown_coordinate_is_no_error_and_the_nearest_are_offered(world: World) -> None:
    world.publish()
    world.load()
    answer = world.ask().clients_of("User.emial")
    assert (answer.known, answer.uses) == (False, ())
    assert answer.suggestions[0] == "User.email"


def test_a_coordinate_of_the_schema_that_traffic_ran_on_is_known_whatever_is_published_since(world: World) -> None:
    world.publish(SDL, version="v1")
    world.load()
    world.now += 1
    world.publish(SDL.replace("  email: String\n", ""))
    world.start()
    world.request("{ users { email } }")
    world.load()
    answer = world.ask().clients_of("User.email")
    assert (answer.known, answer.requests) == (True, 1)
    assert world.ask().clients_of("User.mail").known is False


def test_without_a_published_schema_nobody_knows_whether_a_coordinate_exists(world: World) -> None:
    world.request(PROFILE)
    world.load()
    assert world.ask().clients_of("User.email").known is None
    with pytest.raises(BadQuestion, match="no schema"):
        world.ask().schema_use()


def test_what_a_client_uses_by_version_and_in_all(world: World) -> None:
    world.request(PROFILE, 10, client="app", version="1")
    world.request("{ user(id: 1) { name } }", 5, client="app", version="2")
    world.request("{ node(id: 1) { id } }", 7, client="other", version="1")
    world.load()
    asking = world.ask()
    one = {use.coordinate: use.requests for use in asking.fields_of("app", "1").uses if use.kind is Kind.FIELD}
    assert one == {"Query.user": 10, "User.id": 10, "User.email": 10, "User.nick": 10}
    every = {use.coordinate: (use.requests, use.operations) for use in asking.fields_of("app").uses}
    assert every["Query.user"] == (15, 2)
    assert every["User.name"] == (5, 1)
    assert asking.fields_of("app").requests == 15
    assert asking.fields_of("nobody").uses == ()


def test_operations_by_requests_with_errors_latency_and_what_is_wrong_with_them(world: World) -> None:
    world.publish()
    world.request(PROFILE, 90, errors=9, seconds=0.01)
    world.request(PROFILE, 10, client="slow", seconds=2.0)
    world.request("query Wrong { nope }", 3)
    world.load()
    answer = world.ask().operations(limit=1)
    assert answer.total == 2
    (profile,) = answer.operations
    assert (profile.name, profile.requests, profile.errors, profile.clients) == ("Profile", 100, 9, 2)
    assert profile.p50 == pytest.approx(0.01, rel=0.06)
    assert profile.p99 == pytest.approx(2.0, rel=0.06)
    assert (profile.invalid, profile.uses_deprecated) == (False, True)
    wrong = world.ask().operations().operations[1]
    assert (wrong.name, wrong.invalid, wrong.uses_deprecated) == ("Wrong", True, False)


def test_requests_over_time_have_no_gaps_and_add_up(world: World) -> None:
    world.request(PROFILE, 4, ago=3 * 3600, errors=1)
    world.request(PROFILE, 6, ago=5)
    world.load()
    answer = world.ask("6h").requests_over_time(steps=12)
    assert answer.step_seconds % answer.about.bucket_seconds == 0
    times = [moment.time for moment in answer.moments]
    assert {later - time for time, later in pairwise(times)} == {timedelta(seconds=answer.step_seconds)}
    assert sum(moment.requests for moment in answer.moments) == 10
    assert sum(moment.errors for moment in answer.moments) == 1
    assert len(answer.moments) <= 13


@pytest.mark.parametrize(("last", "bucket"), [("90s", 300), ("24h", 300), ("7d", 3600), ("60d", 86_400)])
def test_a_window_is_answered_in_the_finest_grain_there_is_and_starts_at_a_bucket(
    world: World, last: str, bucket: int
) -> None:
    about = world.ask(last).about
    assert about.bucket_seconds == bucket
    assert about.since.timestamp() % bucket == 0


def test_every_grain_gives_the_same_counts(world: World) -> None:
    world.request(PROFILE, 11)
    world.load()
    assert {world.ask(last).clients_of("User.email").requests for last in ("1h", "7d", "60d")} == {11}


def test_elements_of_the_schema_are_used_unused_or_unknown(world: World) -> None:
    world.publish()
    world.start()
    world.request(PROFILE, 5, variables={"id": "1"})
    world.load()
    found = verdicts(world)
    assert found["User.email"] is Verdict.USED
    assert found["Query.user(id:)"] is Verdict.USED
    assert found["User"] is Verdict.USED
    assert found["Device.serial"] is Verdict.UNUSED
    assert found["Device"] is Verdict.UNUSED
    assert found["UserFilter.name"] is Verdict.UNUSED
    assert found["Role.GUEST"] is Verdict.UNUSED


def test_the_value_of_an_enum_that_is_returned_is_never_unused(world: World) -> None:
    world.publish()
    world.start()
    world.request("{ user(id: 1) { role } }")
    world.load()
    assert verdicts(world)["Role.GUEST"] is Verdict.UNKNOWN


def test_what_reporters_do_not_see_is_unknown(world: World) -> None:
    world.publish()
    world.start()
    blind = replace(world.shape("{ user(id: 1) { id } }"), coverage=frozenset({Coverage.FIELDS}))
    world.request(blind)
    world.load()
    found = verdicts(world)
    assert found["Device.serial"] is Verdict.UNUSED
    assert found["Query.users(first:)"] is Verdict.UNKNOWN
    assert found["UserFilter.name"] is Verdict.UNKNOWN
    assert found["Role.GUEST"] is Verdict.UNKNOWN
    assert world.ask().about.missing == tuple(sorted(frozenset(Coverage) - {Coverage.FIELDS}))


def test_an_argument_whose_state_nobody_knows_is_unknown(world: World) -> None:
    world.publish()
    world.start()
    shape = world.shape("{ users { id } }")
    entries = tuple(
        Entry(*entry[:3], State.UNCERTAIN) if entry.kind is Kind.ARGUMENT else entry for entry in shape.entries
    )
    world.request(replace(shape, entries=entries), 4)
    world.load()
    assert verdicts(world)["Query.users(first:)"] is Verdict.UNKNOWN
    assert world.ask().clients_of("Query.users(first:)").uses[0].states == ("uncertain",)


def test_a_complete_window_has_no_reason_to_doubt(world: World) -> None:
    world.start()
    world.request(PROFILE)
    world.load()
    about = world.ask().about
    assert (about.complete, about.reasons, about.incomplete, about.missing) == (True, (), (), ())
    assert about.complete_up_to == about.until


def spoil_by_orphans(world: World) -> None:
    world.request("{ user(id: 3) { role } }", 9, described=False)


def spoil_by_losses(world: World) -> None:
    world.report({}, lost={"overflow": 12})


def spoil_by_an_operation_that_was_not_analysed(world: World) -> None:
    world.request(Shape("", "Big", world.shape("{ node(id: 1) { id } }").type, "", (), coverage=frozenset()), 2)


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (spoil_by_orphans, Reason.ORPHANS, "9 requests"),
        (spoil_by_losses, Reason.LOST, "12 requests: overflow"),
        (spoil_by_an_operation_that_was_not_analysed, Reason.NOT_ANALYSED, "2 requests"),
    ],
)
def test_whatever_is_missing_is_said_and_nothing_is_unused_then(
    world: World, spoil: Callable[[World], None], reason: Reason, words: str
) -> None:
    world.publish()
    world.start()
    spoil(world)
    world.load()
    about = world.ask().about
    assert about.reasons == (reason,)
    assert words in about.incomplete[0]
    assert Verdict.UNUSED not in verdicts(world).values()


def test_a_record_that_nobody_can_read_could_have_been_of_every_graph(alone: World) -> None:
    alone.publish()
    alone.start()
    alone.load()
    assert alone.ask().about.complete
    alone.append_raw(b"{")
    alone.load()
    about = alone.ask().about
    assert about.reasons == (Reason.DEAD_LETTERS,)
    assert "1 undecodable" in about.incomplete[0]
    assert Verdict.UNUSED not in verdicts(alone).values()


def test_a_window_that_starts_before_the_first_data_is_not_complete(world: World) -> None:
    world.publish()
    world.start(days=3)
    world.load()
    assert world.ask("7d").about.reasons == (Reason.WINDOW_BEFORE_DATA,)
    assert world.ask("2d").about.complete
    assert verdicts(world, "7d")["Device.serial"] is Verdict.UNKNOWN
    assert verdicts(world, "2d")["Device.serial"] is Verdict.UNUSED


def test_without_data_nothing_is_complete(world: World) -> None:
    assert world.ask().about.reasons == (Reason.NO_DATA,)


def test_records_that_wait_make_an_answer_incomplete_once_they_wait_long(world: World) -> None:
    world.start()
    world.load()
    world.request(PROFILE)
    appended = world.now
    world.now += 30
    soon = world.ask().about
    assert soon.complete
    assert soon.until == soon.complete_up_to
    world.now = appended + 3600
    late = world.ask().about
    assert late.reasons == (Reason.LAG,)
    assert late.complete_up_to is not None
    assert late.complete_up_to.timestamp() == pytest.approx(appended, abs=5)
    world.load()
    assert world.ask().about.complete


def test_another_graph_is_never_seen(world: World) -> None:
    world.publish()
    world.request(PROFILE, client="secret")
    world.load()
    other = world.insights.ask(world.scope._replace(graph="other"))
    assert other.clients().clients == ()
    assert other.clients_of("User.email").uses == ()
    assert other.operations().operations == ()
    assert other.schema is None


def test_names_with_quotes_and_backslashes_are_values_not_sql(world: World) -> None:
    nasty = "O'Brien \\ {x:String} \"; DROP TABLE shapes --\n"
    world.request(PROFILE, 3, client=nasty)
    world.load()
    assert world.ask().fields_of(nasty).requests == 3
    assert world.ask().clients_of(nasty).uses == ()


def test_graphs_are_those_that_reported_or_published(world: World) -> None:
    world.publish()
    world.load()
    mine = [each for each in world.insights.graphs() if (each.org, each.graph) == world.scope]
    assert [each.last_seen for each in mine] == [None]
    world.request(PROFILE)
    world.load()
    (graph,) = [each for each in world.insights.graphs() if (each.org, each.graph) == world.scope]
    assert graph.last_seen is not None


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "7 fortnights", "9999999d"])
def test_a_window_that_is_none_is_a_mistake_with_one_clear_line(world: World, text: str) -> None:
    with pytest.raises(BadQuestion, match="window"):
        world.ask(text)


def test_the_newest_schema_counts(world: World) -> None:
    world.publish()
    world.load()
    world.now += 10
    world.publish(SDL.replace("serial: String", "serial: String model: String"))
    world.load()
    assert world.ask().clients_of("Device.model").known is True
