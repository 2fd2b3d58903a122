"""The Strawberry extension: every request counts, under its client, and no answer changes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest
import strawberry
from broken import SAMPLING_STEPS, STEPS, broken, name_of, wait_for
from fake_collector import FakeCollector, fake_collector
from graphql import GraphQLError, GraphQLSchema, validate
from strawberry.asgi import GraphQL
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import DisableValidation, MaskErrors, SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError

from forebay.agent.integrations.strawberry import Forebay
from forebay.core.shape import content_hash


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "you") -> str:
        return f"hello {name}"

    @strawberry.field
    def fail(self) -> str | None:
        raise RuntimeError("private")

    @strawberry.field
    async def later(self) -> str:
        return "later"

    @strawberry.field
    async def stuck(self) -> str:
        await asyncio.sleep(60)
        return "stuck"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncGenerator[int, None]:
        for number in range(3):
            yield number


def masked(**_: Any) -> SchemaExtension:
    return MaskErrors()


def not_validated(**_: Any) -> SchemaExtension:
    return DisableValidation()


class Service:
    """A schema with the extension, and the collector that it reports to."""

    def __init__(self, collector: FakeCollector, **options: Any) -> None:
        self.collector = collector
        self.forebay = Forebay(collector.url, "token", interval=60, **options)
        self.schema = strawberry.Schema(Query, subscription=Subscription, extensions=[self.forebay, masked])

    def usage(self) -> dict[tuple[str, str, str, bool], int]:
        assert self.forebay.flush()
        return dict(self.collector.usage())


@pytest.fixture
def service() -> Iterator[Service]:
    with fake_collector() as collector:
        service = Service(collector)
        yield service
        service.forebay.close()


def both(service: Service, query: str, **options: Any) -> list[Any]:
    return each(service.schema, query, **options)


def each(schema: strawberry.Schema, query: str, **options: Any) -> list[Any]:
    return [schema.execute_sync(query, **options), asyncio.run(schema.execute(query, **options))]


@pytest.mark.parametrize(
    ("query", "name", "errors"),
    [
        ("query A { hello }", "A", False),
        ("{ hello }", "", False),
        ("query B { fail hello }", "B", True),
        ("query C { nothing }", "C", True),
        ("query D($name: String!) { hello(name: $name) }", "D", True),
        ("query E {", "", True),
    ],
)
def test_every_request_counts_sync_and_async_with_its_outcome(
    service: Service, query: str, name: str, errors: bool
) -> None:
    bare = strawberry.Schema(Query, subscription=Subscription, extensions=[masked])
    for result, expected in zip(both(service, query), each(bare, query), strict=True):
        assert (result.data, str(result.errors), result.extensions) == (
            expected.data,
            str(expected.errors),
            expected.extensions,
        )
    assert service.usage() == {("", "", name, errors): 2}


def test_a_request_that_names_no_existing_operation_counts_as_400(service: Service) -> None:
    for run in (service.schema.execute_sync, lambda *a, **k: asyncio.run(service.schema.execute(*a, **k))):
        with pytest.raises(CannotGetOperationTypeError):
            run("query A { hello }", operation_name="Missing")
    gc.collect()  # the exceptions, which hold on to the requests
    assert service.usage() == {("", "", "", True): 2}
    [push] = service.collector.pushes.values()
    assert push.status == [400]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What a test lets go of must be gone without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_what_http_answers_with_400_counts_when_it_is_answered(service: Service, uncollected: None) -> None:
    async def ask() -> int:
        transport = httpx.ASGITransport(GraphQL(service.schema))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            body = {"query": "query A { hello }", "operationName": "Missing"}
            return (await http.post("/", json=body)).status_code

    assert asyncio.run(ask()) == 400
    assert service.usage() == {("", "", "", True): 1}
    [push] = service.collector.pushes.values()
    assert push.status == [400]


def test_a_request_whose_client_goes_away_counts_with_errors(service: Service, uncollected: None) -> None:
    async def leave() -> None:
        asked = asyncio.create_task(service.schema.execute("query A { hello stuck }"))
        await asyncio.sleep(0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(leave())
    assert service.usage() == {("", "", "A", True): 1}
    [push] = service.collector.pushes.values()
    assert push.status == [200]


def test_a_request_counts_when_another_extension_fails_to_give_results(service: Service, uncollected: None) -> None:
    class Failing(SchemaExtension):
        def get_results(self) -> dict[str, Any]:
            raise LookupError("failing")

    schema = strawberry.Schema(Query, extensions=[Failing, service.forebay])
    with pytest.raises(LookupError):
        schema.execute_sync("query A { hello }")
    gc.collect()  # the exception, which holds on to the request
    assert service.usage() == {("", "", "A", False): 1}


def test_the_class_in_an_objects_place_is_refused() -> None:
    given: Any = [Forebay]
    schema = strawberry.Schema(Query, extensions=given)
    with pytest.raises(TypeError, match=r"extensions=\[Forebay\(\)\]"):
        schema.execute_sync("query A { hello }")


def test_a_subscription_of_a_schema_that_was_not_known_counts_once(service: Service) -> None:
    other = strawberry.Schema(Query, extensions=[service.forebay])
    assert other.execute_sync("query A { hello }").errors is None

    async def ticks() -> int:
        return len([result async for result in await service.schema.subscribe("subscription T { ticks }")])

    assert asyncio.run(ticks()) == 3
    assert service.usage() == {("", "", "A", False): 1, ("", "", "T", False): 1}


def test_a_request_without_a_document_is_no_operation(service: Service) -> None:
    with pytest.raises(MissingQueryError):
        service.schema.execute_sync(None)
    with pytest.raises(MissingQueryError):
        asyncio.run(service.schema.execute(""))
    assert service.usage() == {}


def test_of_several_operations_the_one_that_runs_counts(service: Service) -> None:
    document = "query A { hello } query B { hello fail }"
    both(service, document, operation_name="B")
    both(service, document)
    assert service.usage() == {("", "", "A", False): 2, ("", "", "B", True): 2}


def test_variables_make_the_shape_and_durations_the_histogram(service: Service) -> None:
    query = "query A($name: String) { hello(name: $name) }"
    both(service, query, variable_values={"name": "x"})
    both(service, query, variable_values={})
    service.usage()
    [push] = service.collector.pushes.values()
    assert push.requests == [2, 2]
    assert [sum(durations.values()) for durations in push.duration] == [2, 2]


@pytest.mark.parametrize("prefix", ["graphql-client", "apollographql-client", "X-GraphQL-Client"])
def test_the_client_is_taken_from_the_request_headers_over_http(service: Service, prefix: str) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(GraphQL(service.schema))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            headers = {f"{prefix}-name": "web", f"{prefix}-version": "3.2.0"}
            answer = await http.post("/", json={"query": "query A { later }"}, headers=headers)
            assert answer.json() == {"data": {"later": "later"}}
            assert (await http.get("/", params={"query": "query A { later }"})).status_code == 200

    asyncio.run(ask())
    assert service.usage() == {("web", "3.2.0", "A", False): 1, ("", "", "A", False): 1}


def test_the_client_can_be_told_by_a_function_and_one_that_fails_costs_only_the_client() -> None:
    def client(context: Any) -> tuple[str, str]:
        return context["app"], "1"

    with fake_collector() as collector:
        service = Service(collector, client=client)
        service.schema.execute_sync("{ hello }", context_value={"app": "mine"})
        assert service.schema.execute_sync("{ hello }").errors is None
        assert service.usage() == {("mine", "1", "", False): 1, ("", "", "", False): 1}
        assert service.forebay.faults.counts == {"client": 1}
        assert service.forebay.close()


def test_a_subscription_counts_once_when_it_starts_and_has_no_duration(service: Service) -> None:
    async def ticks() -> list[Any]:
        stream = await service.schema.subscribe("subscription T { ticks }")
        return [result.data async for result in stream]

    assert asyncio.run(ticks()) == [{"ticks": 0}, {"ticks": 1}, {"ticks": 2}]
    assert service.usage() == {("", "", "T", False): 1}
    [push] = service.collector.pushes.values()
    assert push.duration == [{}]


def test_the_schema_is_reported_as_strawberry_prints_it(service: Service) -> None:
    both(service, "{ hello }")
    service.usage()
    [push] = service.collector.pushes.values()
    assert push.schemas[0].sdl == service.schema.as_str()
    assert push.schema_version == [content_hash(service.schema.as_str().encode())]


def test_errors_and_executions_are_told_by_field_and_results_are_the_same() -> None:
    bare = strawberry.Schema(Query, subscription=Subscription, extensions=[masked])
    with fake_collector() as collector:
        service = Service(collector, executions=1)
        for query in ("query A { hello again: hello }", "query B { fail hello }", "query C { nothing }"):
            for result, expected in zip(both(service, query), each(bare, query), strict=True):
                assert (result.data, str(result.errors)) == (expected.data, str(expected.errors))
        assert asyncio.run(service.schema.execute("query D { later }")).data == {"later": "later"}
        service.forebay.close()
        assert collector.errors() == {("B", "Query.fail"): 2}
        assert collector.executions() == {"Query.hello": (6, 0), "Query.fail": (2, 2), "Query.later": (1, 0)}
        assert service.forebay.faults.counts == {}


def test_without_sampling_no_resolver_is_looked_at(service: Service) -> None:
    [extension] = [each for each in service.schema.get_extensions() if "forebay" in type(each).__module__]
    assert not extension._implements_resolve()
    both(service, "query B { fail }")
    service.usage()
    assert service.collector.executions() == {}
    assert service.collector.errors() == {("B", "Query.fail"): 2}


@pytest.mark.parametrize("step", [*STEPS, *SAMPLING_STEPS], ids=name_of)
def test_answers_are_the_same_bytes_whichever_step_of_the_agent_is_broken(step: Any) -> None:
    bodies = [{"query": source} for source in ("query A { hello }", "query B { fail }", "query C { none }", "{")]

    async def answers(schema: strawberry.Schema) -> list[tuple[int, bytes]]:
        transport = httpx.ASGITransport(GraphQL(schema))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            return [((answer := await http.post("/", json=body)).status_code, answer.content) for body in bodies]

    with broken(step) as reached, fake_collector() as collector:
        service = Service(collector, executions=1)
        bare = strawberry.Schema(Query, subscription=Subscription, extensions=[masked])
        assert asyncio.run(answers(service.schema)) == asyncio.run(answers(bare))
        service.forebay.flush(0)
        wait_for(reached)
        service.forebay.close(0)


def test_an_extension_that_fails_makes_an_error_not_a_refusal(service: Service) -> None:
    class Failing(SchemaExtension):
        def on_execute(self) -> Iterator[None]:
            raise RuntimeError("failing")
            yield

    schema = strawberry.Schema(Query, extensions=[service.forebay, Failing])
    assert schema.execute_sync("query A { hello }").errors
    assert asyncio.run(schema.execute("query A { hello }")).errors
    assert service.usage() == {("", "", "A", True): 2}
    assert {status for push in service.collector.pushes.values() for status in push.status} == {200}


def test_schemas_that_share_the_extension_are_reported_apart(service: Service) -> None:
    @strawberry.type
    class Other:
        elsewhere: int = 1

    other = strawberry.Schema(Other, extensions=[service.forebay])
    assert other.execute_sync("query B { elsewhere }", root_value=Other()).data == {"elsewhere": 1}
    both(service, "query A { hello }")
    assert service.usage() == {("", "", "A", False): 2, ("", "", "B", False): 1}
    assert not any(shape.invalid for shape in service.collector.shapes.values())
    assert len({version for push in service.collector.pushes.values() for version in push.schema_version}) == 2


def test_what_a_service_without_validation_executes_is_not_taken_for_invalid(service: Service) -> None:
    schema = strawberry.Schema(Query, extensions=[service.forebay, not_validated])
    assert schema.execute_sync("query A { hello } fragment F on Query { later }").data == {"hello": "hello you"}
    service.usage()
    [shape] = service.collector.shapes.values()
    assert (shape.name, shape.invalid, shape.coverage) == ("A", False, [])


def test_what_a_service_without_validation_answers_with_errors_is_not_taken_for_invalid(service: Service) -> None:
    schema = strawberry.Schema(Query, extensions=[service.forebay, DisableValidation])
    result = schema.execute_sync("query A { hello fail } fragment F on Query { later }")
    assert result.errors
    service.usage()
    [shape] = service.collector.shapes.values()
    assert (shape.name, shape.invalid, shape.coverage) == ("A", False, [])


class _Trusting(SchemaExtension):
    """A host that checks one rule only."""

    def on_validate(self) -> Iterator[None]:
        self.execution_context.validation_rules = self.execution_context.validation_rules[:1]
        yield


@pytest.mark.parametrize(("extension", "repeated"), [(SchemaExtension, 0), (_Trusting, 1), (DisableValidation, 1)])
def test_validation_is_repeated_only_where_the_service_has_not_validated_by_all_rules(
    service: Service, monkeypatch: pytest.MonkeyPatch, extension: type[SchemaExtension], repeated: int
) -> None:
    validated: list[GraphQLSchema] = []

    def counted(schema: GraphQLSchema, *rest: Any, **options: Any) -> list[GraphQLError]:
        validated.append(schema)
        return validate(schema, *rest, **options)

    monkeypatch.setattr("forebay.agent.extract.validate", counted)
    schema = strawberry.Schema(Query, extensions=[service.forebay, extension])
    schema.execute_sync("query A { hello }")
    service.usage()
    [shape] = service.collector.shapes.values()
    assert "Query.hello" in shape.coordinate
    assert len(validated) == repeated
