"""graphql-core's functions, wrapped: every call counts, and gives what it gave before."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import graphql
import pytest
from broken import SAMPLING_STEPS, STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector
from graphql import GraphQLSchema, MiddlewareManager, Source, build_schema, parse

from forebay.agent.integrations import graphql_core
from forebay.agent.integrations.graphql_core import Forebay
from forebay.agent.integrations.reporters import MOST_SCHEMAS
from forebay.core.histogram import quantile

SDL = """
type Query { hello(name: String = "you"): String!  fail: String  later: String! }
type Subscription { ticks: Int! }
"""


class Root:
    """Resolves both schemas' fields."""

    def hello(self, info: Any, name: str) -> str:
        return f"hello {name}"

    def fail(self, info: Any) -> str:
        raise RuntimeError("private")

    async def later(self, info: Any) -> str:
        await asyncio.sleep(0)
        return "later"

    async def ticks(self, info: Any) -> AsyncGenerator[dict[str, int], None]:
        for number in range(2):
            yield {"ticks": number}


SCHEMA = build_schema(SDL)
DOCUMENTS = [
    ("query A { hello }", "A", False),
    ("{ hello }", "", False),
    ("query B { fail hello }", "B", True),
    ("query C { nothing }", "C", True),
    ("query D($name: String!) { hello(name: $name) }", "D", True),
    ("query E {", "", True),
]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


@pytest.fixture
def forebay(collector: FakeCollector) -> Iterator[Forebay]:
    forebay = Forebay(collector.url, "token", interval=60)
    yield forebay
    forebay.close()


def settled(answer: Any) -> Any:
    """A result as a client would see it, of a function that is sync or async."""

    async def awaited() -> Any:
        result = await answer
        return [item.formatted async for item in result] if isinstance(result, AsyncIterator) else result.formatted

    return asyncio.run(awaited()) if inspect.isawaitable(answer) else answer.formatted


@pytest.mark.parametrize("kind", ["graphql", "graphql_sync"])
def test_every_request_counts_sync_and_async_with_its_outcome(
    forebay: Forebay, collector: FakeCollector, kind: str
) -> None:
    bare, watched = getattr(graphql, kind), getattr(forebay, kind)
    assert inspect.iscoroutinefunction(bare) == inspect.iscoroutinefunction(watched)
    for source, _, _ in DOCUMENTS:
        assert settled(watched(SCHEMA, source, Root())) == settled(bare(SCHEMA, source, Root()))
    assert forebay.flush()
    expected = [("", "", name, errors) for _, name, errors in DOCUMENTS]
    assert sorted(collector.usage().elements()) == sorted(expected)
    assert forebay.faults.counts == {}


def test_execute_gives_a_result_or_an_awaitable_as_graphql_core_does(
    forebay: Forebay, collector: FakeCollector
) -> None:
    assert not inspect.isawaitable(forebay.execute(SCHEMA, parse("query A { hello }"), Root()))
    assert settled(forebay.execute(SCHEMA, parse("query B { later }"), Root())) == {"data": {"later": "later"}}
    assert forebay.flush()
    assert collector.usage() == {("", "", "A", False): 1, ("", "", "B", False): 1}


def test_arguments_are_understood_by_place_and_by_name(forebay: Forebay, collector: FakeCollector) -> None:
    two = "query A($name: String) { hello(name: $name) } query B { hello }"
    context = {"request": SimpleNamespace(headers={"graphql-client-name": "web", "graphql-client-version": "1"})}
    for source in (two, Source(two)):
        forebay.graphql_sync(SCHEMA, source, Root(), context, {"name": "x"}, "A")
        forebay.graphql_sync(
            schema=SCHEMA,
            source=source,
            root_value=Root(),
            context_value=context,
            variable_values={"name": "x"},
            operation_name="A",
        )
    forebay.execute(SCHEMA, document=parse(two, no_location=True), root_value=Root(), operation_name="B")
    forebay.execute(SCHEMA, parse(two), operation_name="B", root_value=Root())
    assert forebay.flush()
    assert collector.usage() == {("web", "1", "A", False): 4, ("", "", "B", False): 2}
    assert [push.requests for push in collector.pushes.values()] == [[4, 2]]


@pytest.mark.parametrize(("source", "errors"), [("subscription T { ticks }", False), ("subscription T { none }", True)])
def test_a_subscription_counts_once_when_it_starts_and_has_no_duration(
    forebay: Forebay, collector: FakeCollector, source: str, errors: bool
) -> None:
    async def ticks(subscribe: Callable[..., Any]) -> list[Any]:
        result = subscribe(SCHEMA, parse(source), Root())
        result = await result if inspect.isawaitable(result) else result
        return [item.formatted async for item in result] if isinstance(result, AsyncIterator) else [result.formatted]

    assert asyncio.run(ticks(forebay.subscribe)) == asyncio.run(ticks(graphql.subscribe))
    assert forebay.flush()
    assert collector.usage() == {("", "", "T", errors): 1}
    [push] = collector.pushes.values()
    assert [sum(durations.values()) for durations in push.duration] == [int(errors)]


def test_any_function_that_takes_the_same_arguments_can_be_wrapped(forebay: Forebay, collector: FakeCollector) -> None:
    def run(query: str, variables: Any = None) -> Any:
        return graphql.graphql_sync(SCHEMA, query, Root(), variable_values=variables)

    watched = forebay.wrap(run, SCHEMA)
    assert watched("query A { hello }") == run("query A { hello }")
    assert watched.__name__ == "run"
    assert forebay.flush()
    assert collector.usage() == {("", "", "A", False): 1}


def test_what_raises_counts_as_an_error_and_raises_the_same(forebay: Forebay, collector: FakeCollector) -> None:
    class Ended(BaseException):
        pass

    def ended(*_: Any) -> Any:
        raise Ended

    async def ended_later(*_: Any) -> Any:
        await asyncio.sleep(0)
        raise Ended

    with pytest.raises(Ended):
        forebay.wrap(ended)(SCHEMA, "query A { hello }")
    with pytest.raises(Ended):
        asyncio.run(forebay.wrap(ended_later)(SCHEMA, "query A { hello }"))
    assert forebay.flush()
    assert collector.usage() == {("", "", "A", True): 2}


def test_a_call_without_arguments_fails_as_it_did_and_costs_a_fault(forebay: Forebay) -> None:
    with pytest.raises(TypeError, match="schema"):
        forebay.execute()  # type: ignore[call-arg]
    assert forebay.faults.counts == {"graphql_core": 1}


def test_a_host_that_makes_a_schema_for_each_request_gets_no_thread_for_each(forebay: Forebay) -> None:
    schemas = [build_schema(SDL) for _ in range(MOST_SCHEMAS + 3)]
    for schema in schemas:
        assert forebay.graphql_sync(schema, "{ hello }", Root()).errors is None
    assert len(forebay.status()) == MOST_SCHEMAS
    assert forebay.faults.counts == {"integration": 3}


def test_what_was_executed_without_being_valid_is_not_analysed_whatever_errors_it_has(
    forebay: Forebay, collector: FakeCollector
) -> None:
    document = parse("query A { fail hello nothing }")
    assert forebay.execute(SCHEMA, document, Root()) == graphql.execute(SCHEMA, document, Root())
    forebay.graphql_sync(SCHEMA, "query B { fail hello nothing }", Root())
    assert forebay.flush()
    assert {shape.name: shape.invalid for shape in collector.shapes.values()} == {"A": False, "B": True}


@pytest.mark.parametrize("kind", ["graphql", "graphql_sync", "execute"])
def test_errors_are_attributed_to_the_fields_at_which_they_arose(
    forebay: Forebay, collector: FakeCollector, kind: str
) -> None:
    for source in (
        "query A { alias: fail hello }",
        "query B { hello }",
        "query C { ...F } fragment F on Query { fail }",
    ):
        settled(getattr(forebay, kind)(SCHEMA, source if kind != "execute" else parse(source), Root()))
    assert forebay.flush()
    assert collector.errors() == {("A", "Query.fail"): 1, ("C", "Query.fail"): 1}
    assert collector.executions() == {}


@pytest.fixture
def sampling(collector: FakeCollector) -> Iterator[Forebay]:
    forebay = Forebay(collector.url, "token", interval=60, executions=1)
    yield forebay
    forebay.close()


@pytest.mark.parametrize("kind", ["graphql", "graphql_sync", "execute"])
def test_the_executions_of_a_request_that_is_sampled_are_counted_and_its_result_is_the_same(
    sampling: Forebay, collector: FakeCollector, kind: str
) -> None:
    sources = ["query A { fail hello again: hello __typename }", "{ __schema { queryType { name } } }", "{ nothing }"]
    for source in [*sources, *(["query B { later }"] if kind != "graphql_sync" else [])]:
        asked = source if kind != "execute" else parse(source)
        given = settled(getattr(sampling, kind)(SCHEMA, asked, Root()))
        assert given == settled(getattr(graphql, kind)(SCHEMA, asked, Root()))
    assert sampling.flush()
    later = {"Query.later": (1, 0)} if kind != "graphql_sync" else {}
    assert collector.executions() == {"Query.hello": (2, 0), "Query.fail": (1, 1), **later}
    assert sampling.faults.counts == {}


class Upper:
    """A host's own middleware."""

    def resolve(self, next_: Any, root: Any, info: Any, **args: Any) -> Any:
        value = next_(root, info, **args)
        return value.upper() if isinstance(value, str) else value


class Manager(MiddlewareManager):
    pass


@pytest.mark.parametrize(
    ("middleware", "counted"),
    [
        ([Upper()], True),
        ((Upper(),), True),
        (MiddlewareManager(Upper()), True),
        (Manager(Upper()), False),
        (None, True),
    ],
)
def test_a_hosts_own_middlewares_work_as_before(
    sampling: Forebay, collector: FakeCollector, middleware: Any, counted: bool
) -> None:
    bare = graphql.graphql_sync(SCHEMA, "{ hello }", Root(), middleware=middleware)
    assert sampling.graphql_sync(SCHEMA, "{ hello }", Root(), middleware=middleware) == bare
    positional = (SCHEMA, "{ hello }", Root(), None, None, None, None, None, middleware)
    assert sampling.graphql_sync(*positional) == bare
    assert sampling.flush()
    assert collector.executions() == ({"Query.hello": (1, 0)} if counted else {})
    assert collector.requests() == 2


def test_a_resolver_that_returns_an_error_or_takes_its_time_is_told_as_such(
    sampling: Forebay, collector: FakeCollector
) -> None:
    class Odd(Root):
        def fail(self, info: Any) -> Any:
            return RuntimeError("private")

        async def later(self, info: Any) -> str:
            await asyncio.sleep(0.02)
            raise RuntimeError("private")

    settled(sampling.graphql(SCHEMA, "{ fail later }", Odd()))
    assert sampling.flush()
    assert collector.executions() == {"Query.fail": (1, 1), "Query.later": (1, 1)}
    durations = {place[2]: quantile(outcome.duration, 0.5) or 0 for place, outcome in collector.outcomes()}
    assert durations["Query.later"] > 0.015


def test_one_request_in_so_many_is_sampled_and_stands_for_that_many(collector: FakeCollector) -> None:
    forebay = Forebay(collector.url, "token", interval=60, executions=0.05)
    for _ in range(2_000):
        forebay.graphql_sync(SCHEMA, "{ hello }", Root())
    assert forebay.close()
    [(_, outcome)] = collector.outcomes()
    assert 40 < outcome.sampled < 180  # 100 expected, sigma 9.7
    assert outcome.executions == 20 * outcome.sampled
    assert collector.requests() == 2_000


@pytest.mark.parametrize("rate", [-1, 1.5])
def test_a_rate_that_is_no_share_counts_nothing_and_says_so(
    collector: FakeCollector, rate: float, caplog: pytest.LogCaptureFixture
) -> None:
    forebay = Forebay(collector.url, "token", interval=60, executions=rate)
    forebay.graphql_sync(SCHEMA, "{ hello }", Root())
    assert forebay.close()
    assert collector.executions() == {}
    assert "executions" in caplog.text


@pytest.mark.parametrize(
    "step", [*STEPS, (Forebay, "_text"), (graphql_core, "_arguments"), *SAMPLING_STEPS], ids=name_of
)
def test_results_are_the_same_whichever_step_of_the_agent_is_broken(collector: FakeCollector, step: Any) -> None:
    def results(functions: Any) -> list[Any]:
        calls = [functions.graphql, functions.graphql_sync]
        return [settled(call(SCHEMA, source, Root())) for source, _, _ in DOCUMENTS for call in calls]

    with broken(step) as reached:
        forebay = Forebay(collector.url, "token", interval=60, executions=1)
        assert results(forebay) == results(graphql)
        forebay.flush(0)
        wait_for(reached)
    forebay.close(0)


def test_schemas_are_reported_apart(forebay: Forebay, collector: FakeCollector) -> None:
    other: GraphQLSchema = build_schema("type Query { elsewhere: Int }")
    forebay.graphql_sync(other, "query B { elsewhere }")
    forebay.graphql_sync(SCHEMA, "query A { hello }", Root())
    assert forebay.flush()
    assert collector.usage() == {("", "", "A", False): 1, ("", "", "B", False): 1}
    assert not any(shape.invalid for shape in collector.shapes.values())
