"""The Graphene integration on the Graphene that is installed: every call counts, and gives what it gave before.

Run by test_graphene.py, as Graphene does not take the graphql-core of this environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from types import SimpleNamespace
from typing import Any

import graphene
import pytest
from broken import SAMPLING_STEPS, STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector

from forebay.agent.integrations.graphene import Forebay


class Mood(Enum):
    GOOD = 1
    BAD = 2


class Query(graphene.ObjectType):  # type: ignore[misc]  # Graphene has no types
    hello = graphene.String(name=graphene.String(default_value="you"), mood=graphene.Enum.from_enum(Mood)())
    fail = graphene.String()

    def resolve_hello(self, info: Any, name: str, mood: Any = None) -> str:
        return f"hello {name}"

    def resolve_fail(self, info: Any) -> str:
        raise RuntimeError("private")


class Subscription(graphene.ObjectType):  # type: ignore[misc]
    ticks = graphene.Int()

    async def subscribe_ticks(self, info: Any) -> AsyncIterator[int]:
        for number in range(2):
            yield number


DOCUMENTS = [
    ("query A { hello }", "A", False),
    ("query B { fail hello }", "B", True),
    ("query C { nothing }", "C", True),
    ("query D {", "", True),
]


def schema() -> Any:
    return graphene.Schema(query=Query, subscription=Subscription)


def both(schema: Any, source: str, **options: Any) -> list[Any]:
    later = schema.execute_async(source, **options)
    return [result.formatted for result in (schema.execute(source, **options), asyncio.run(later))]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as collector:
        yield collector


@pytest.fixture
def forebay(collector: FakeCollector) -> Iterator[Forebay]:
    forebay = Forebay(collector.url, "token", interval=60)
    yield forebay
    forebay.close()


def test_every_request_counts_sync_and_async_with_its_outcome(forebay: Forebay, collector: FakeCollector) -> None:
    watched, bare = forebay.watch(schema()), schema()
    for source, _, _ in DOCUMENTS:
        assert both(watched, source) == both(bare, source)
    assert forebay.flush()
    assert collector.usage() == {("", "", name, errors): 2 for _, name, errors in DOCUMENTS}
    assert forebay.faults.counts == {}


def test_graphenes_own_names_of_arguments_are_understood(forebay: Forebay, collector: FakeCollector) -> None:
    two = "query A($m: Mood) { hello(mood: $m) } query B { hello }"
    request = SimpleNamespace(headers={"graphql-client-name": "web", "graphql-client-version": "1"})
    both(forebay.watch(schema()), two, variables={"m": "BAD"}, operation="A", context={"request": request})
    both(forebay.watch(schema()), two, variable_values={}, operation_name="B", context_value=request)
    assert forebay.flush()
    assert collector.usage() == {("web", "1", "A", False): 2, ("web", "1", "B", False): 2}
    assert any("Mood.BAD" in shape.coordinate for shape in collector.shapes.values())


def test_a_subscription_counts_once_when_it_starts_and_has_no_duration(
    forebay: Forebay, collector: FakeCollector
) -> None:
    async def ticks(schema: Any) -> list[Any]:
        return [result.data async for result in await schema.subscribe("subscription T { ticks }")]

    assert asyncio.run(ticks(forebay.watch(schema()))) == asyncio.run(ticks(schema())) == [{"ticks": 0}, {"ticks": 1}]
    assert forebay.flush()
    assert collector.usage() == {("", "", "T", False): 1}
    assert [push.duration for push in collector.pushes.values()] == [[{}]]


def test_errors_and_executions_are_told_by_field(collector: FakeCollector) -> None:
    forebay = Forebay(collector.url, "token", interval=60, executions=1)
    watched, bare = forebay.watch(schema()), schema()
    for source, _, _ in DOCUMENTS:
        assert both(watched, source) == both(bare, source)
    assert forebay.close()
    assert collector.errors() == {("B", "Query.fail"): 2}
    assert collector.executions() == {"Query.hello": (4, 0), "Query.fail": (2, 2)}


@pytest.mark.parametrize("step", [*STEPS, *SAMPLING_STEPS], ids=name_of)
def test_results_are_the_same_whichever_step_of_the_agent_is_broken(collector: FakeCollector, step: Any) -> None:
    bare = [both(schema(), source) for source, _, _ in DOCUMENTS]
    with broken(step) as reached:
        forebay = Forebay(collector.url, "token", interval=60, executions=1)
        watched = forebay.watch(schema())
        assert [both(watched, source) for source, _, _ in DOCUMENTS] == bare
        forebay.flush(0)
        wait_for(reached)
    forebay.close(0)
