"""The hooks for Ariadne: every request counts once, under its client, and no answer changes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import ariadne
import ariadne.wsgi
import drive
import httpx
import pytest
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import GraphQLHTTPHandler, GraphQLTransportWSHandler, GraphQLWSHandler
from ariadne.types import BaseProxyRootValue
from broken import SAMPLING_STEPS, STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector
from graphql import DocumentNode, GraphQLError, parse

from forebay.agent.integrations.ariadne import Forebay

SDL = """
enum Mood { GOOD BAD }
type Query { hello(name: String = "you", mood: Mood): String!  fail: String  later: String! }
type Subscription { ticks: Int! }
"""
query, subscription = ariadne.QueryType(), ariadne.SubscriptionType()


@query.field("hello")
def hello(_: Any, __: Any, name: str, mood: str | None = None) -> str:
    return f"hello {name}"


@query.field("fail")
def fail(*_: Any) -> str:
    raise RuntimeError("private")


@query.field("later")
async def later(*_: Any) -> str:
    await asyncio.sleep(0)
    return "later"


@subscription.source("ticks")
async def ticks(*_: Any) -> AsyncGenerator[int, None]:
    for number in range(2):
        yield number


@subscription.field("ticks")
def tick(number: int, *_: Any) -> int:
    return number


SCHEMA = ariadne.make_executable_schema(SDL, query, subscription)
logging.getLogger("ariadne").setLevel(logging.CRITICAL + 1)  # some requests fail on purpose

REQUESTS: list[tuple[Any, str, bool]] = [  # what is asked, the operation's name, whether it fails
    ({"query": "query A { hello }"}, "A", False),
    ({"query": "{ hello }"}, "", False),
    ({"query": "query B { fail hello }"}, "B", True),
    ({"query": "query C { nothing }"}, "C", True),
    ({"query": "query D($name: String!) { hello(name: $name) }"}, "D", True),
    ({"query": "query E {"}, "", True),
    ({"query": "query F { hello } query G { fail }", "operationName": "G"}, "G", True),
    ({"query": "query H { hello }", "operationName": "Missing"}, "", True),
    ({"query": "query I($m: Mood) { hello(mood: $m) }", "variables": {"m": "BAD"}}, "I", False),
    ({"query": "mutation J { hello }"}, "J", True),
    ({"query": "subscription K { ticks }"}, "K", True),
]


def make(forebay: Forebay | None, **options: Any) -> GraphQL:
    http_handler = GraphQLHTTPHandler(middleware=forebay.middleware) if forebay and forebay.samples else None
    return GraphQL(SCHEMA, http_handler=http_handler, **(forebay.hooks if forebay else {}), **options)


def ask(app: GraphQL, *bodies: Any, **headers: str) -> list[tuple[int, bytes]]:
    async def answers() -> list[tuple[int, bytes]]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http:
            return [((answer := await http.post("/", json=body)).status_code, answer.content) for body in bodies]

    return asyncio.run(answers())


def ask_wsgi(app: ariadne.wsgi.GraphQL, *bodies: Any, **headers: str) -> list[tuple[int, bytes]]:
    transport = httpx.WSGITransport(app)
    with httpx.Client(transport=transport, base_url="http://service", headers=headers) as http:
        return [((answer := http.post("/", json=body)).status_code, answer.content) for body in bodies]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


@pytest.fixture
def forebay(collector: FakeCollector) -> Iterator[Forebay]:
    forebay = Forebay(SCHEMA, collector.url, "token", interval=60)
    yield forebay
    forebay.close()


def wsgi(forebay: Forebay | None) -> ariadne.wsgi.GraphQL:
    middleware = forebay.middleware if forebay and forebay.samples else None
    return ariadne.wsgi.GraphQL(SCHEMA, middleware=middleware, **(forebay.hooks if forebay else {}))


@pytest.mark.parametrize(
    ("server", "asked", "asking"), [(make, ask, "asgi"), (wsgi, ask_wsgi, "wsgi")], ids=["asgi", "wsgi"]
)
def test_every_request_counts_with_its_outcome_and_answers_are_the_same_bytes(
    forebay: Forebay, collector: FakeCollector, server: Any, asked: Any, asking: str
) -> None:
    # `later` is for the asynchronous server alone.
    requests = REQUESTS + ([({"query": "query L { later }"}, "L", False)] if asking == "asgi" else [])
    bodies = [body for body, _, _ in requests]
    assert asked(server(forebay), *bodies) == asked(server(None), *bodies)
    assert forebay.flush()
    expected = [("", "", name, errors) for _, name, errors in requests]
    assert sorted(collector.usage().elements()) == sorted(expected)
    assert forebay.faults.counts == {}


@pytest.mark.parametrize(("server", "asked"), [(make, ask), (wsgi, ask_wsgi)], ids=["asgi", "wsgi"])
def test_errors_and_executions_are_told_by_field_and_answers_are_the_same_bytes(
    collector: FakeCollector, server: Any, asked: Any
) -> None:
    requests = [body for body, _, _ in REQUESTS] + ([{"query": "query L { later }"}] if server is make else [])
    forebay = Forebay(SCHEMA, collector.url, "token", interval=60, executions=1)
    assert asked(server(forebay), *requests) == asked(server(None), *requests)
    assert forebay.close()
    assert collector.errors() == {("B", "Query.fail"): 1, ("G", "Query.fail"): 1}
    later = {"Query.later": (1, 0)} if server is make else {}
    assert collector.executions() == {"Query.hello": (4, 0), "Query.fail": (2, 2), **later}
    assert forebay.faults.counts == {}


@pytest.mark.parametrize("step", [*STEPS, *SAMPLING_STEPS], ids=name_of)
def test_answers_are_the_same_bytes_whichever_step_of_the_agent_is_broken(collector: FakeCollector, step: Any) -> None:
    bodies = [body for body, _, _ in REQUESTS]
    with broken(step) as reached:
        forebay = Forebay(SCHEMA, collector.url, "token", interval=60, executions=1)
        assert ask(make(forebay), *bodies) == ask(make(None), *bodies)
        forebay.flush(0)
        wait_for(reached)
    forebay.close(0)


def test_variables_make_the_shape_and_durations_the_histogram(forebay: Forebay, collector: FakeCollector) -> None:
    source = "query A($m: Mood) { hello(mood: $m) }"
    ask(make(forebay), {"query": source, "variables": {"m": "GOOD"}}, {"query": source})
    assert forebay.flush()
    [push] = collector.pushes.values()
    assert push.requests == [1, 1]
    assert [sum(durations.values()) for durations in push.duration] == [1, 1]
    assert {"Mood.GOOD" in shape.coordinate for shape in push.shapes} == {True, False}


@pytest.mark.parametrize("prefix", ["graphql-client", "apollographql-client", "X-GraphQL-Client"])
@pytest.mark.parametrize(("server", "asked"), [(make, ask), (wsgi, ask_wsgi)], ids=["asgi", "wsgi"])
def test_the_client_is_taken_from_the_request_headers(
    forebay: Forebay, collector: FakeCollector, server: Any, asked: Callable[..., Any], prefix: str
) -> None:
    asked(server(forebay), {"query": "{ hello }"}, **{f"{prefix}-name": "web", f"{prefix}-version": "3.2.0"})
    assert forebay.flush()
    assert collector.usage() == {("web", "3.2.0", "", False): 1}


def test_the_client_can_be_told_by_a_function_of_the_context(collector: FakeCollector) -> None:
    forebay = Forebay(SCHEMA, collector.url, "token", interval=60, client=lambda context: (context["app"], "1"))
    ask(make(forebay, context_value={"app": "mine"}), {"query": "{ hello }"})
    ask(make(forebay, context_value={"other": ""}), {"query": "{ hello }"})
    assert forebay.close()
    assert collector.usage() == {("mine", "1", "", False): 1, ("", "", "", False): 1}
    assert forebay.faults.counts == {"client": 1}


@pytest.mark.parametrize(
    ("handler", "protocol", "start"),
    [
        (GraphQLTransportWSHandler, "graphql-transport-ws", "subscribe"),
        (GraphQLWSHandler, "graphql-ws", "start"),  # which parses a query twice
    ],
)
def test_a_subscription_counts_once_and_a_query_over_the_same_socket_too(
    forebay: Forebay, collector: FakeCollector, handler: Any, protocol: str, start: str
) -> None:
    queries = ["subscription T { ticks }", "query A { hello }", "query F { fail }", "query C { nothing }"]
    asked: list[Any] = [{"type": "connection_init"}]
    asked += [{"id": query, "type": start, "payload": {"query": query}} for query in queries]
    bare, watched = (
        drive.socket(make(agent, websocket_handler=handler()), asked, protocol=protocol) for agent in (None, forebay)
    )
    assert watched == bare
    gc.collect()
    assert forebay.flush()
    assert collector.usage() == {
        ("", "", "T", False): 1,
        ("", "", "A", False): 1,
        ("", "", "F", True): 1,
        ("", "", "C", True): 1,
    }
    durations = {
        shape: sum(count[2].values())
        for push in collector.pushes.values()
        for key, count in push.rows()
        for shape in [collector.shapes[key[2]].name]
    }
    assert durations == {"T": 0, "A": 1, "F": 1, "C": 1}


def test_a_subscription_that_is_not_valid_counts_with_its_error(forebay: Forebay, collector: FakeCollector) -> None:
    data = {"query": "subscription T { nothing }"}
    watched, bare = (asyncio.run(ariadne.subscribe(SCHEMA, data, **hooks)) for hooks in (forebay.hooks, {}))
    assert watched == bare
    assert forebay.flush()
    assert collector.usage() == {("", "", "T", True): 1}


class Proxied(BaseProxyRootValue):
    def update_result(self, result: Any) -> Any:
        return result[0], {**result[1], "proxied": True}


async def later_root(*_: Any) -> str:
    return "root"


@pytest.mark.parametrize(
    "root_value",
    ["root", lambda *_: "root", later_root, lambda *_: Proxied({"root": 1}), Proxied({"root": 1})],
    ids=["value", "function", "awaited", "proxy of a function", "proxy"],
)
def test_the_hosts_own_root_value_stays_in_force(collector: FakeCollector, root_value: Any) -> None:
    shown = ariadne.QueryType()
    shown.set_field("hello", lambda root, *_, **__: repr(root))
    schema = ariadne.make_executable_schema(SDL, shown)
    forebay = Forebay(schema, collector.url, "token", interval=60, root_value=root_value)
    for query in ("query A { hello }", "query B { nothing }"):
        bare, watched = (
            asyncio.run(ariadne.graphql(schema, {"query": query}, **hooks))
            for hooks in ({"root_value": root_value}, forebay.hooks)
        )
        assert watched == bare
    assert forebay.close()
    assert collector.usage() == {("", "", "A", False): 1, ("", "", "B", True): 1}
    assert forebay.faults.counts == {}


@pytest.mark.parametrize("failure", [RuntimeError("broken"), GraphQLError("no")], ids=repr)
def test_a_root_value_that_fails_is_the_hosts_and_the_request_counts(
    collector: FakeCollector, failure: Exception
) -> None:
    def fails(*_: Any) -> Any:
        raise failure

    def outcome(hooks: dict[str, Any]) -> str:
        try:
            return str(ariadne.graphql_sync(SCHEMA, {"query": "query A { hello }"}, **hooks))
        except RuntimeError as exc:
            return repr(exc)

    forebay = Forebay(SCHEMA, collector.url, "token", interval=60, root_value=fails)
    assert outcome(forebay.hooks) == outcome({"root_value": fails})
    assert forebay.close()
    assert collector.usage() == {("", "", "A", True): 1}


def test_the_hosts_own_parser_and_error_formatter_stay_in_force(collector: FakeCollector) -> None:
    def parser(context: Any, data: Any) -> DocumentNode:
        return parse({"one": "query A { fail }"}[data["query"]])

    def formatter(error: GraphQLError, debug: bool) -> Any:
        return {"message": "masked", "debug": debug}

    own: dict[str, Any] = {"query_parser": parser, "error_formatter": formatter}
    forebay = Forebay(SCHEMA, collector.url, "token", interval=60, **own)
    for query in ("one", "two"):
        bare, watched = (
            ariadne.graphql_sync(SCHEMA, {"query": query}, debug=True, **hooks) for hooks in (own, forebay.hooks)
        )
        assert watched == bare
    assert forebay.close()
    assert collector.usage() == {("", "", "A", True): 1, ("", "", "", True): 1}
    assert collector.errors() == {("A", "Query.fail"): 1}


def test_a_document_that_the_host_has_parsed_counts_each_time(forebay: Forebay, collector: FakeCollector) -> None:
    document = parse("query A { hello }")
    for _ in range(3):
        ariadne.graphql_sync(SCHEMA, {"query": "its name"}, query_document=document, **forebay.hooks)
    assert forebay.flush()
    assert collector.usage() == {("", "", "A", False): 3}


def test_a_request_whose_client_goes_away_counts_with_errors(forebay: Forebay, collector: FakeCollector) -> None:
    async def leave() -> None:
        answer = ariadne.graphql(SCHEMA, {"query": "query L { later }"}, **forebay.hooks)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(answer, 0)
        task = asyncio.create_task(ariadne.graphql(SCHEMA, {"query": "query L { later }"}, **forebay.hooks))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    gc.collect()
    assert forebay.flush()
    assert collector.usage() == {("", "", "L", True): 1}


def test_a_request_within_a_request_is_one_of_its_own(collector: FakeCollector) -> None:
    query = ariadne.QueryType()
    schema = ariadne.make_executable_schema(SDL, query)
    forebay = Forebay(schema, collector.url, "token", interval=60)

    @query.field("hello")
    def hello(*_: Any, **__: Any) -> str:
        ariadne.graphql_sync(schema, {"query": "query Inner { fail }"}, **forebay.hooks)
        ariadne.graphql_sync(schema, {"query": "query {"}, **forebay.hooks)
        return "hello"

    query.bind_to_schema(schema)
    assert ariadne.graphql_sync(schema, {"query": "query Outer { hello }"}, **forebay.hooks)[0]
    assert forebay.close()
    assert collector.usage() == {("", "", "Outer", False): 1, ("", "", "Inner", False): 1, ("", "", "", True): 1}


def test_what_was_answered_is_not_held_on_to(forebay: Forebay) -> None:
    class Context(dict[str, Any]):
        pass

    for query in ("{ hello }", "{ fail }", "{ nothing }", "{"):
        context = Context()
        held = weakref.ref(context)
        ariadne.graphql_sync(SCHEMA, {"query": query}, context_value=context, **forebay.hooks)
        del context
        gc.collect()
        assert held() is None, query


def test_executions_are_not_seen_without_the_middleware_and_a_fault_says_so(collector: FakeCollector) -> None:
    forebay = Forebay(SCHEMA, collector.url, "token", interval=60, executions=1)
    ariadne.graphql_sync(SCHEMA, {"query": "query A { hello }"}, **forebay.hooks)
    assert forebay.close()
    assert collector.executions() == {}
    assert collector.usage() == {("", "", "A", False): 1}
    assert forebay.faults.counts == {"executions": 1}


def test_no_resolver_is_wrapped_in_a_request_that_is_not_sampled(forebay: Forebay) -> None:
    assert forebay.middleware(None, None) == []
