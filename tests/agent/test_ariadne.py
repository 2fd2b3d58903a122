"""The Ariadne extension: every request counts, under its client, and no answer changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import ariadne
import ariadne.wsgi
import drive
import httpx
import pytest
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import GraphQLHTTPHandler, GraphQLTransportWSHandler
from broken import SAMPLING_STEPS, STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector

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
    ({"query": ""}, "", True),
]


def make(forebay: Forebay | None, **options: Any) -> GraphQL:
    extensions: Any = [forebay] if forebay else []
    return GraphQL(
        SCHEMA,
        validation_rules=forebay.rules if forebay else None,
        http_handler=GraphQLHTTPHandler(extensions=extensions),
        **options,
    )


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
    extensions: Any = [forebay] if forebay else []
    return ariadne.wsgi.GraphQL(SCHEMA, validation_rules=forebay.rules if forebay else None, extensions=extensions)


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


def test_a_subscription_counts_once_and_a_query_over_the_same_socket_too(
    forebay: Forebay, collector: FakeCollector
) -> None:
    asked = [
        {"type": "connection_init"},
        {"id": "1", "type": "subscribe", "payload": {"query": "subscription T { ticks }"}},
        {"id": "2", "type": "subscribe", "payload": {"query": "query A { hello }"}},
    ]
    bare, watched = (
        drive.socket(make(agent, websocket_handler=GraphQLTransportWSHandler()), asked) for agent in (None, forebay)
    )
    assert watched == bare
    assert len(watched) == 7
    assert forebay.flush()
    assert collector.usage() == {("", "", "T", False): 1, ("", "", "A", False): 1}
    durations = {
        shape: sum(count[2].values())
        for push in collector.pushes.values()
        for key, count in push.rows()
        for shape in [collector.shapes[key[2]].name]
    }
    assert durations == {"T": 0, "A": 1}


def test_the_hosts_own_validation_rules_stay_in_force(collector: FakeCollector) -> None:
    def refuse(context: Any, document: Any, data: Any) -> Any:
        seen.append(data["query"])
        return None

    seen: list[str] = []
    forebay = Forebay(SCHEMA, collector.url, "token", interval=60, validation_rules=refuse)
    ask(make(forebay), {"query": "query A { hello }"})
    assert forebay.close()
    assert seen == ["query A { hello }"]
    assert collector.usage() == {("", "", "A", False): 1}


def test_without_the_hook_requests_count_as_not_analysed_and_a_fault_says_what_is_missing(
    forebay: Forebay, collector: FakeCollector
) -> None:
    app = GraphQL(SCHEMA, http_handler=GraphQLHTTPHandler(extensions=[forebay]))
    ask(app, {"query": "query A { hello }"}, {"query": "query B {"})
    assert forebay.flush()
    [shape] = collector.shapes.values()
    assert (shape.invalid, shape.coverage) == (False, [])
    assert collector.requests() == 2
    assert forebay.faults.counts == {"ariadne": 2}


def test_no_resolver_is_wrapped(forebay: Forebay) -> None:
    from ariadne.extensions import ExtensionManager

    manager = ExtensionManager([forebay]).as_middleware_manager()
    assert manager is not None
    assert manager.get_field_resolver(hello) is hello
