"""Cosmo's protocol, from captured bytes of a real router (tests/fixtures/cosmo) and generated ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from graphql import build_schema, parse, print_ast, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.collector.protocols import cosmo_pb2 as pb
from forebay.collector.protocols.cosmo import (
    PATHS,
    Answer,
    Batch,
    Call,
    Normaliser,
    codec_of,
    failure,
    refusal,
    success,
)
from forebay.collector.protocols.literals import neutral, parsed
from forebay.core.coordinate import Kind, State
from forebay.core.record import MAX_COUNT, Report, ShapeColumns, ShapeRecord, columns_of, decode, encode
from forebay.core.shape import Coverage, OperationType, Shape
from forebay.errors import RejectRecord

FIXTURES = Path(__file__).parent.parent / "fixtures" / "cosmo"
MINUTE = 29_000_000
Aggregated = pb.PublishAggregatedGraphQLRequestMetricsRequest
Plain = pb.PublishGraphQLRequestMetricsRequest

UNSURE_GIVEN = State.GIVEN | State.UNCERTAIN
UNSURE_NOT_GIVEN = State.NULL | State.ABSENT | State.UNCERTAIN
METRICS = {Coverage.FIELDS, Coverage.ARGUMENTS, Coverage.INPUTS, Coverage.ENUM_VALUES}


def capture(name: str) -> bytes:
    return gzip.decompress((FIXTURES / f"{name}.body").read_bytes())


def decoded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.decoded.json").read_text())


def captured_usages(name: str) -> list[pb.SchemaUsageInfo]:
    return [item.SchemaUsage for item in Aggregated.FromString(capture(name)).Aggregation]


def batch(body: bytes, call: Call = Call.AGGREGATED, codec: str = "proto") -> Batch:
    return Normaliser().batch(call, codec, body, MINUTE)


def aggregated(*usages: pb.SchemaUsageInfo, count: int = 1) -> bytes:
    items = [pb.SchemaUsageInfoAggregation(SchemaUsage=usage, RequestCount=count) for usage in usages]
    return Aggregated(Aggregation=items).SerializeToString()


def shape_of(usage: pb.SchemaUsageInfo) -> Shape:
    (shape,) = batch(aggregated(usage)).shapes.values()
    return shape


def entries(shape: Shape, kind: Kind) -> dict[str, State]:
    return {entry.coordinate: entry.state for entry in shape.entries if entry.kind is kind}


def journaled(found: Batch) -> list[bytes]:
    """The batch as records, each of which a reader takes."""
    envelope = {"org": "o", "graph": "g", "source": "cosmo", "received": 1}
    report = Report(**columns_of(found.tallies), **envelope, agent="a", sequence=1)  # type: ignore[arg-type]
    shapes = []
    for identity, shape in found.shapes.items():
        columns = ShapeColumns.of(shape)
        assert columns.id == identity
        fields = {name: getattr(columns, name) for name in columns.__struct_fields__}
        shapes.append(ShapeRecord(**fields, **envelope))  # type: ignore[arg-type]
    records = [encode(report), *map(encode, shapes)]
    for record in records:
        decode(record)
    return records


# Captures


@pytest.mark.parametrize("name", ["odd", "window-1"])
def test_a_capture_counts_what_its_decoded_form_says(name: str) -> None:
    expected: dict[tuple[str, str, str, int], tuple[int, int]] = {}
    for item in decoded(name)["Aggregation"]:
        usage = item["SchemaUsage"]
        client = (usage["ClientInfo"]["Name"], usage["ClientInfo"]["Version"])
        client = ("", "") if client == ("unknown", "missing") else client
        key = (usage["OperationInfo"]["Hash"], *client, usage["RequestInfo"].get("StatusCode", 0))
        requests = item["RequestCount"]
        expected[key] = (requests, requests if usage["RequestInfo"].get("error") else 0)

    found = batch(capture(name))
    got = {
        (found.shapes[shape].operation, client, version, status): (requests, errors)
        for (_, _, shape, client, version, status), (requests, errors, _) in found.tallies.items()
    }
    assert got == expected
    assert {(minute, schema) for minute, schema, *_ in found.tallies} == {
        (MINUTE, "00000000-0000-0000-0000-000000000000")
    }
    assert {key[2] for key in found.tallies} == set(found.shapes)


def test_a_capture_tells_what_its_operation_uses() -> None:
    (shape,) = batch(capture("window-1")).shapes.values()
    assert (shape.operation, shape.name, shape.type) == ("2110684860060095682", "", OperationType.QUERY)
    assert shape.document == print_ast(parse("{products {id}}"))
    assert not shape.invalid
    assert shape.coverage == METRICS | {Coverage.DOCUMENT}
    assert [(entry.coordinate, entry.named_type) for entry in shape.entries if entry.kind is Kind.FIELD] == [
        ("Product.id", "ID"),
        ("Query.products", "Product"),
    ]
    assert set(entries(shape, Kind.TYPE)) == {"ID", "Product", "ProductFilter", "Query"}
    assert entries(shape, Kind.ARGUMENT) == {
        f"Query.products({name}:)": State.ABSENT for name in ("after", "filter", "first", "sort")
    }


@pytest.mark.parametrize("name", ["odd", "window-1"])
def test_no_secret_of_a_capture_reaches_the_journal(name: str) -> None:
    stored = b"\n".join(journaled(batch(capture(name))))
    assert b"secret" not in stored
    assert b"products" in stored


def test_every_kind_of_failed_request_is_counted() -> None:
    found = batch(capture("odd"))
    counts = {(found.shapes[key[2]].operation, key[3]): count[:2] for key, count in found.tallies.items()}
    assert counts["0", "lit"] == counts["0", "resp"] == (1, 1)
    assert counts["7481658620499683793", "lit"] == counts["720655672036131772", "lit"] == (1, 1)
    shapes = {shape.operation: shape for shape in found.shapes.values()}
    unparsed, unknown_argument = shapes["0"], shapes["7481658620499683793"]
    assert unparsed == Shape("0", "", OperationType.UNKNOWN, "", (), frozenset(METRICS), invalid=True)
    assert unknown_argument.invalid
    assert unknown_argument.type is OperationType.QUERY
    assert unknown_argument.entries == ()
    assert 'nope: ""' in unknown_argument.document


def test_a_request_that_failed_in_a_subgraph_uses_what_it_selects() -> None:
    usage = captured_usages("window-1")[0]
    usage.RequestInfo.error = True
    found = batch(aggregated(usage, count=7))
    (shape,) = found.shapes.values()
    assert [count[:2] for count in found.tallies.values()] == [(7, 7)]
    assert not shape.invalid
    assert "Product.id" in entries(shape, Kind.FIELD)


@pytest.mark.parametrize("name", ["odd", "window-1"])
def test_both_codecs_give_equal_batches(name: str) -> None:
    assert batch(json.dumps(decoded(name)).encode(), codec="json") == batch(capture(name))


def test_the_json_codec_takes_counts_as_strings_and_ignores_unknown_fields() -> None:
    body = decoded("window-1")
    body["Aggregation"][0]["RequestCount"] = "4"
    body["New"] = {"a": [1]}
    assert batch(json.dumps(body).encode(), codec="json") == batch(capture("window-1"))


@pytest.mark.parametrize("codec", ["proto", "json"])
def test_the_older_call_counts_each_item_once(codec: str) -> None:
    usages = [item["SchemaUsage"] for item in decoded("odd")["Aggregation"]]  # each with RequestCount 1
    body = json.dumps({"SchemaUsage": usages}).encode()
    if codec == "proto":
        body = Plain(SchemaUsage=captured_usages("odd")).SerializeToString()
    assert batch(body, Call.PLAIN, codec) == batch(capture("odd"))


# What is counted


def test_items_of_one_key_are_folded() -> None:
    usage = captured_usages("window-1")[0]
    items = [pb.SchemaUsageInfoAggregation(SchemaUsage=usage, RequestCount=count) for count in (2, 3)]
    found = batch(Aggregated(Aggregation=items).SerializeToString())
    assert [count[:2] for count in found.tallies.values()] == [(5, 0)]


def test_an_item_that_counts_nothing_leaves_nothing() -> None:
    assert batch(aggregated(captured_usages("window-1")[0], count=0)) == Batch({}, {})
    assert batch(b"") == Batch({}, {})


@pytest.mark.parametrize(("status", "error", "stored", "failed"), [
    (200, False, 200, 0),
    (200, True, 200, 1),
    (0, False, 0, 0),
    (404, False, 404, 1),
    (-1, False, 0, 0),
    (70_000, False, 999, 1),
])  # fmt: skip
def test_a_status_is_kept_within_three_digits_and_tells_failures(
    status: int, error: bool, stored: int, failed: int
) -> None:
    usage = captured_usages("window-1")[0]
    usage.RequestInfo.StatusCode, usage.RequestInfo.error = status, error
    ((key, count),) = batch(aggregated(usage)).tallies.items()
    assert (key[5], count[1]) == (stored, failed)


@pytest.mark.parametrize(("client", "stored"), [
    (("unknown", "missing"), ("", "")),
    (("web", "missing"), ("web", "missing")),
    (("unknown", "2"), ("unknown", "2")),
])  # fmt: skip
def test_a_client_that_gave_neither_name_nor_version_is_unidentified(
    client: tuple[str, str], stored: tuple[str, str]
) -> None:
    usage = captured_usages("window-1")[0]
    usage.ClientInfo.Name, usage.ClientInfo.Version = client
    (key,) = batch(aggregated(usage)).tallies
    assert key[3:5] == stored


# What is used


def test_a_field_counts_on_every_type_that_can_stand_there() -> None:
    shape = shape_of(
        pb.SchemaUsageInfo(
            TypeFieldMetrics=[
                field(["hero"], ["Query"], "Character"),
                field(["hero", "name"], ["Character", "Droid", "Human"], "String"),
                field(["hero", "height"], ["Human"], "Float"),
                pb.TypeFieldUsageInfo(
                    Path=["hero", "height"], TypeNames=["Tall"], NamedType="Float", IndirectInterfaceField=True
                ),
            ]
        )
    )
    assert set(entries(shape, Kind.FIELD)) == {
        "Query.hero",
        "Character.name",
        "Droid.name",
        "Human.name",
        "Human.height",
        "Tall.height",
    }


def test_introspection_and_federation_are_no_use_of_the_schema() -> None:
    shape = shape_of(
        pb.SchemaUsageInfo(
            TypeFieldMetrics=[
                field(["__schema"], ["Query"], "__Schema"),
                field(["__schema", "types"], ["__Schema"], "__Type"),
                field(["__type"], ["Query"], "__Type"),
                field(["_service"], ["Query"], "_Service"),
                field(["_service", "sdl"], ["_Service"], "String"),
                field(["_entities"], ["Query"], "_Entity"),
                field(["_entities", "sku"], ["Product"], "ID"),
                field(["me"], ["Query"], "User"),
                field(["me", "__typename"], ["User"], "String"),
            ],
            ArgumentMetrics=[
                pb.ArgumentUsageInfo(Path=["__type", "name"], TypeName="Query", NamedType="String"),
                pb.ArgumentUsageInfo(Path=["fields", "includeDeprecated"], TypeName="__Type", NamedType="Boolean"),
                pb.ArgumentUsageInfo(Path=["_entities", "representations"], TypeName="Query", NamedType="_Any"),
            ],
        )
    )
    assert [entry.coordinate for entry in shape.entries if entry.kind is not Kind.TYPE] == ["Product.sku", "Query.me"]
    assert set(entries(shape, Kind.TYPE)) == {"Product", "Query", "User", "ID"}


def test_an_argument_is_absent_only_where_the_document_gives_it_nowhere() -> None:
    shape = shape_of(with_arguments("query ($a: Int!, $b: Int, $c: Int = 3) {f(a: $a, b: $b, c: $c) {g}}"))
    assert entries(shape, Kind.ARGUMENT) == {
        "Query.f(a:)": UNSURE_GIVEN,
        "Query.f(b:)": UNSURE_NOT_GIVEN | State.NULLABLE_VARIABLE,
        "Query.f(c:)": UNSURE_GIVEN,
        "Query.f(d:)": State.ABSENT,
    }
    assert Coverage.STATES not in shape.coverage


def test_without_a_readable_document_every_argument_is_uncertain() -> None:
    shape = shape_of(with_arguments("query {f("))
    assert entries(shape, Kind.ARGUMENT) == {
        "Query.f(a:)": UNSURE_GIVEN,
        "Query.f(b:)": UNSURE_NOT_GIVEN,
        "Query.f(c:)": UNSURE_GIVEN,
        "Query.f(d:)": UNSURE_NOT_GIVEN,
    }
    assert shape.document == ""
    assert shape.coverage == METRICS


def test_an_argument_counts_on_every_type_that_its_field_counts_on() -> None:
    shape = shape_of(
        pb.SchemaUsageInfo(
            RequestDocument="query($a: Int){hero{friends(first: $a){name}} droid{friends{name}}}",
            TypeFieldMetrics=[
                field(["hero", "friends"], ["Character", "Droid", "Human"], "Character"),
                field(["other", "friends"], ["Page"], "Character"),
            ],
            ArgumentMetrics=[pb.ArgumentUsageInfo(Path=["friends", "first"], TypeName="Character", NamedType="Int")],
        )
    )
    assert set(entries(shape, Kind.ARGUMENT)) == {
        "Character.friends(first:)",
        "Droid.friends(first:)",
        "Human.friends(first:)",
    }


def test_inputs_tell_fields_enum_values_and_types_but_no_states() -> None:
    shape = shape_of(
        pb.SchemaUsageInfo(
            TypeFieldMetrics=[field(["f"], ["Query"], "Int")],
            InputMetrics=[
                pb.InputUsageInfo(Path=["Filter", "title"], TypeName="Filter", NamedType="String"),
                pb.InputUsageInfo(Path=["Filter", "tag"], TypeName="Filter", NamedType="String", IsNull=True),
                pb.InputUsageInfo(Path=["Filter", "in"], TypeName="Filter", NamedType="Genre", EnumValues=["FICTION"]),
                pb.InputUsageInfo(Path=["Filter"], NamedType="Filter"),
                pb.InputUsageInfo(Path=["Role"], NamedType="Role", EnumValues=["ADMIN", "USER"]),
            ],
        )
    )
    assert entries(shape, Kind.INPUT) == {
        "Filter.in": UNSURE_GIVEN,
        "Filter.tag": UNSURE_NOT_GIVEN,
        "Filter.title": UNSURE_GIVEN,
    }
    assert set(entries(shape, Kind.ENUM_VALUE)) == {"Genre.FICTION", "Role.ADMIN", "Role.USER"}
    assert {"Filter", "Role", "Genre"} <= set(entries(shape, Kind.TYPE))


@pytest.mark.parametrize(("document", "unseen"), [
    ("query ($t: String) {f(a: {title: $t})}", {Coverage.INPUTS}),
    ("{f @show(to: ADMIN)}", {Coverage.ENUM_VALUES}),
    ("{f(a: {}, b: [X])}", {Coverage.INPUTS, Coverage.ENUM_VALUES}),
    ("{f(a: 1)}", set()),
])  # fmt: skip
def test_what_stands_in_the_document_as_a_literal_is_not_covered(document: str, unseen: set[Coverage]) -> None:
    usage = pb.SchemaUsageInfo(RequestDocument=document, TypeFieldMetrics=[field(["f"], ["Query"], "Int")])
    assert shape_of(usage).coverage == (METRICS | {Coverage.DOCUMENT}) - unseen


def test_a_success_without_field_metrics_covers_nothing_but_its_document() -> None:
    usage = pb.SchemaUsageInfo(RequestDocument="{f}", OperationInfo=pb.OperationInfo(Hash="1"))
    shape = shape_of(usage)
    assert not shape.invalid
    assert shape.coverage == {Coverage.DOCUMENT}
    usage.TypeFieldMetrics.append(field(["__typename"], ["Query"], "String"))
    assert shape_of(usage).coverage >= METRICS


def test_entries_that_cannot_be_named_withdraw_their_coverage() -> None:
    nameless = pb.SchemaUsageInfo(
        TypeFieldMetrics=[field([], ["Query"], "Int"), field(["f"], [], "Int")],
        ArgumentMetrics=[pb.ArgumentUsageInfo(Path=["a"], TypeName="Query")],
        InputMetrics=[pb.InputUsageInfo(NamedType="Filter")],
    )
    assert shape_of(nameless).coverage == {Coverage.ENUM_VALUES}


def field(path: list[str], types: list[str], named_type: str) -> pb.TypeFieldUsageInfo:
    return pb.TypeFieldUsageInfo(Path=path, TypeNames=types, NamedType=named_type)


def with_arguments(document: str) -> pb.SchemaUsageInfo:
    nulls = {"a": False, "b": True, "c": False, "d": True}
    return pb.SchemaUsageInfo(
        RequestDocument=document,
        TypeFieldMetrics=[field(["f"], ["Query"], "F")],
        ArgumentMetrics=[
            pb.ArgumentUsageInfo(Path=["f", name], TypeName="Query", NamedType="Int", IsNull=null)
            for name, null in nulls.items()
        ],
    )


# Literals


def test_literals_become_neutral_ones_of_their_kind_and_the_rest_stays() -> None:
    kept = neutral(
        parse(
            'query Q($v: In = {k: "secret"}) { a: f(i: -42, x: 6.6e1, s: "secret", b: """secret""", t: false,'
            ' e: RED, n: null, l: [1, "secret"], o: {k: "secret", v: $v}) @include(if: false) # secret\n }'
        )
    )
    assert parse(kept, no_location=True) == parse(
        'query Q($v: In = {k: ""}) { a: f(i: 0, x: 0.0, s: "", b: "", t: true,'
        ' e: RED, n: null, l: [0, ""], o: {k: "", v: $v}) @include(if: true) }',
        no_location=True,
    )


@pytest.mark.parametrize("document", [
    '"secret" query Q("""secret""" $v: Int) { f(v: $v) }',
    '"secret" directive @d("secret" a: String = "secret") repeatable on FIELD',
    '"secret" type T { "secret" f("secret" a: I = {x: "secret"}): String @deprecated(reason: "secret") }',
    '"secret" enum E { "secret" A } extend input I @d(a: "secret") { "secret" x: [String] = ["secret"] }',
    '"secret" schema { query: T } "secret" scalar S "secret" union U = T "secret" interface J { f: S }',
    '"secret" fragment F on T @d(a: "secret") { f }',
])  # fmt: skip
def test_whatever_a_document_describes_its_strings_go(document: str) -> None:
    readable = parsed(document)  # how much of it can be read depends on the version of graphql-core
    kept = "" if readable is None else neutral(readable)
    assert "secret" not in kept
    assert neutral(parse(kept)) == kept if kept else readable is None


def test_a_valid_document_stays_valid_without_its_literals() -> None:
    schema = build_schema("type Query { f(i: Int, s: String): Int  g: [Query] }")
    document = '{ f(i: 1, s: "x") ... { f(i: 1, s: "x") } g @skip(if: false) { a: f(i: 2) } }'
    assert validate(schema, parse(document)) == []
    assert validate(schema, parse(neutral(parse(document)))) == []


@pytest.mark.parametrize("document", ["", "secret {", "{" + "a " * 60_000 + "}", "{a" * 5_000 + "}" * 5_000])
def test_a_document_that_cannot_be_parsed_is_not_kept(document: str) -> None:
    assert parsed(document) is None
    usage = pb.SchemaUsageInfo(RequestDocument=document, TypeFieldMetrics=[field(["f"], ["Query"], "Int")])
    shape = shape_of(usage)
    assert shape.document == ""
    assert Coverage.DOCUMENT not in shape.coverage


# Refused reports


@pytest.mark.parametrize(("body", "reason", "limit"), [
    (Aggregated(Aggregation=[pb.SchemaUsageInfoAggregation(RequestCount=1)]), "malformed", "SchemaUsage"),
    (aggregated(pb.SchemaUsageInfo(), count=MAX_COUNT + 1), "malformed", str(MAX_COUNT)),
    (aggregated(pb.SchemaUsageInfo(), count=2**64 - 1), "malformed", str(MAX_COUNT)),
    (aggregated(pb.SchemaUsageInfo(), pb.SchemaUsageInfo(), count=MAX_COUNT), "malformed", str(MAX_COUNT)),
    (aggregated(pb.SchemaUsageInfo(ClientInfo=pb.ClientInfo(Name="n" * 1025))), "too_large", "1,024"),
    (aggregated(pb.SchemaUsageInfo(RequestDocument="d" * (2**20 + 1))), "too_large", "1,048,576"),
    (aggregated(pb.SchemaUsageInfo(TypeFieldMetrics=[field(["f"], ["T" * 1025], "")])), "too_large", "1,024"),
    (aggregated(pb.SchemaUsageInfo(TypeFieldMetrics=[field(["f"], [f"T{i}" for i in range(25_001)], "")])),
     "too_large", "50,000 entries"),
    (aggregated(*(pb.SchemaUsageInfo(TypeFieldMetrics=[field([f"f{j}"], [f"T{i}" for i in range(10_000)], "")])
                  for j in range(30))), "too_large", "500,000 entries"),
    (aggregated(pb.SchemaUsageInfo(
        TypeFieldMetrics=[field(["f"], ["T", *(f"T{i}" for i in range(1_000))], "")],
        ArgumentMetrics=[pb.ArgumentUsageInfo(Path=["f", "a"], TypeName="T")] * 1_000)), "too_large", "50,000 entries"),
    (b"\x0a\x02\x0a\x00" * 50_001, "too_large", "50,000 items"),
    (b'\x0a\x07\x0a\x05\x0a\x03{a\xff', "malformed", "parsing"),
])  # fmt: skip
def test_a_report_beyond_the_limits_is_rejected_with_the_limit(body: Any, reason: str, limit: str) -> None:
    raw = body if isinstance(body, bytes) else body.SerializeToString()
    with pytest.raises(RejectRecord, match=limit) as rejected:
        batch(raw)
    assert rejected.value.reason == reason


def test_the_largest_that_is_allowed_can_be_journaled() -> None:
    name = "é" * 1024
    usage = pb.SchemaUsageInfo(
        OperationInfo=pb.OperationInfo(Hash=name, Name=name),
        SchemaInfo=pb.SchemaInfo(Version=name),
        ClientInfo=pb.ClientInfo(Name=name, Version=name),
        TypeFieldMetrics=[field([name], [name], name)],
        ArgumentMetrics=[pb.ArgumentUsageInfo(Path=[name, name], TypeName=name, NamedType=name)],
        RequestDocument="{" + "a{b " * 100 + "c " * 40_000 + "}" * 101,  # grows beyond the limit when indented
    )
    found = batch(aggregated(usage, count=MAX_COUNT))
    assert len(journaled(found)) == 2


@pytest.mark.parametrize("body", [
    b"", b"[]", b'"x"', b"5", b"null", b"{", b"\xff", b'{"Aggregation": 5}', b'{"Aggregation": [null]}', b"[" * 99_999,
    b'{"Aggregation": [{"SchemaUsage": {"RequestDocument": "\\ud800"}}]}',
    b'{"Aggregation": [{"RequestCount": 1e400}]}',
    b'{"Aggregation": [{"SchemaUsage": {}, "RequestCount": -1}]}', b'{"a": ' + b"[" * 99_999, b'{"Aggregation": [{}]}',
])  # fmt: skip
def test_malformed_json_is_rejected(body: bytes) -> None:
    with pytest.raises(RejectRecord) as rejected:
        batch(body, codec="json")
    assert rejected.value.reason == "malformed"


@pytest.mark.parametrize("name", ["odd", "window-1"])
def test_a_capture_cut_anywhere_is_read_as_the_runtime_reads_it(name: str) -> None:
    whole = capture(name)
    warm = Normaliser()
    warm.batch(Call.AGGREGATED, "proto", whole, MINUTE)
    text = json.dumps(decoded(name)).encode()
    for at in range(len(whole)):
        assert outcome(warm, whole[:at]) == outcome(Normaliser(), whole[:at]) == by_the_runtime(whole[:at])
    for at in range(0, len(text) - 1, 7):
        with pytest.raises(RejectRecord):
            batch(text[:at], codec="json")


# Laws

names = st.sampled_from(["Query", "f", "a", "__typename", "__schema", "User", ""]) | st.text(max_size=4)
paths = st.lists(names, max_size=3)
documents = st.sampled_from(
    ["", "{f}", 'query($a: Int){f(a: $a, b: "x")}', "{f(a: {b: C})}", "mutation M{f}", "{"]
) | st.text(max_size=9)
usages = st.builds(
    pb.SchemaUsageInfo,
    RequestDocument=documents,
    OperationInfo=st.none()
    | st.builds(pb.OperationInfo, Hash=st.sampled_from(["0", "1", "22"]), Name=names, Type=st.integers(0, 4)),
    SchemaInfo=st.none() | st.builds(pb.SchemaInfo, Version=names),
    ClientInfo=st.none() | st.builds(pb.ClientInfo, Name=names, Version=names),
    RequestInfo=st.none() | st.builds(pb.RequestInfo, StatusCode=st.integers(-(2**31), 2**31 - 1), error=st.booleans()),
    Attributes=st.dictionaries(names, names, max_size=1),
    TypeFieldMetrics=st.lists(
        st.builds(pb.TypeFieldUsageInfo, Path=paths, TypeNames=paths, NamedType=names, SubgraphIDs=paths), max_size=3
    ),
    ArgumentMetrics=st.lists(
        st.builds(pb.ArgumentUsageInfo, Path=paths, TypeName=names, NamedType=names, IsNull=st.booleans()), max_size=3
    ),
    InputMetrics=st.lists(
        st.builds(
            pb.InputUsageInfo, Path=paths, TypeName=names, NamedType=names, EnumValues=paths, IsNull=st.booleans()
        ),
        max_size=3,
    ),
)
counts = st.integers(0, 300) | st.sampled_from([2**28 - 1, 2**28, 2**32])
aggregations = st.builds(pb.SchemaUsageInfoAggregation, SchemaUsage=usages, RequestCount=counts)
reports = st.builds(Aggregated, Aggregation=st.lists(aggregations, max_size=4))


def outcome(normaliser: Normaliser, body: bytes, call: Call = Call.AGGREGATED, codec: str = "proto") -> Any:
    """The batch, or the reason of its refusal; any other exception fails the test."""
    try:
        return normaliser.batch(call, codec, body, MINUTE)
    except RejectRecord as rejected:
        return rejected.reason


def by_the_runtime(body: bytes, call: Call = Call.AGGREGATED) -> Any:
    """The same, by the protobuf runtime alone: parsed, and each item given on its own in canonical form."""
    try:
        message = Aggregated.FromString(body) if call is Call.AGGREGATED else Plain.FromString(body)
    except DecodeError:
        return "malformed"
    message.DiscardUnknownFields()
    if isinstance(message, Aggregated) and not all(item.HasField("SchemaUsage") for item in message.Aggregation):
        return "malformed"
    return outcome(Normaliser(), message.SerializeToString(), call)


@given(reports)
@settings(deadline=None)
def test_the_fast_path_equals_the_runtime(report: Aggregated) -> None:
    body, unknown_field = report.SerializeToString(), b"\x78\x01"
    fast, warm = batch(body), Normaliser()
    assert fast == batch(body + unknown_field)  # which only the runtime can read
    assert [warm.batch(Call.AGGREGATED, "proto", body, MINUTE) for _ in range(2)] == [fast, fast]
    assert Normaliser(items=1).batch(Call.AGGREGATED, "proto", body, MINUTE) == fast
    assert Normaliser(size=0).batch(Call.AGGREGATED, "proto", body, MINUTE) == fast
    assert sum(count[0] for count in fast.tallies.values()) == sum(item.RequestCount for item in report.Aggregation)
    assert set(fast.shapes) == {key[2] for key in fast.tallies}
    journaled(fast)


@given(st.lists(usages, max_size=4))
@settings(deadline=None)
def test_both_calls_agree_on_items_that_count_once(items: list[pb.SchemaUsageInfo]) -> None:
    assert batch(Plain(SchemaUsage=items).SerializeToString(), Call.PLAIN) == batch(aggregated(*items))


@given(st.lists(st.tuples(usages, usages, counts, counts, st.sampled_from(["twice", "late", "unknown", "count"]))))
@settings(deadline=None, max_examples=50)
def test_unusual_bytes_mean_what_they_mean_to_the_runtime(
    parts: list[tuple[pb.SchemaUsageInfo, pb.SchemaUsageInfo, int, int, str]],
) -> None:
    body = b""
    for first, second, count, other, way in parts:
        usage = pb.SchemaUsageInfoAggregation(SchemaUsage=first).SerializeToString()
        counted = pb.SchemaUsageInfoAggregation(RequestCount=count).SerializeToString()
        item = {
            "twice": usage + counted + pb.SchemaUsageInfoAggregation(SchemaUsage=second).SerializeToString(),
            "late": counted + usage,
            "unknown": b"\x1d\x01\x02\x03\x04" + usage + counted + b"\x7b\x7c",
            "count": usage + counted + pb.SchemaUsageInfoAggregation(RequestCount=other).SerializeToString(),
        }[way]
        length = bytes([len(item) & 0x7F | 0x80, len(item) >> 7 & 0x7F | 0x80, len(item) >> 14])
        body += b"\x0a" + length + item
    found = outcome(Normaliser(), body)
    assert isinstance(found, Batch)
    assert found == by_the_runtime(body)


mutations = st.lists(st.tuples(st.integers(0, 2_000), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)


@given(st.sampled_from(["odd", "window-1"]), mutations, st.sampled_from(list(Call)))
@settings(deadline=None, max_examples=400)
def test_a_mutated_capture_is_read_as_the_runtime_reads_it(
    name: str, changes: list[tuple[int, bytes, int]], call: Call
) -> None:
    body = capture(name)
    warm = Normaliser()
    warm.batch(Call.AGGREGATED, "proto", body, MINUTE)
    for position, inserted, removed in changes:
        at = position % len(body) if body else 0
        body = body[:at] + inserted + body[at + removed :]
    assert outcome(warm, body, call) == outcome(Normaliser(), body, call) == by_the_runtime(body, call)
    outcome(Normaliser(), body, call, "json")


@pytest.mark.parametrize("prefix", [b"\x0a\x05", b"\x0a\x81\x80\x80\x80\x80\x00"])
def test_a_known_item_behind_a_wrong_length_is_malformed(prefix: bytes) -> None:
    item = b"\x0a\x02{}"
    warm = Normaliser()
    warm.batch(Call.PLAIN, "proto", b"\x0a\x04" + item, MINUTE)
    assert outcome(warm, prefix + item, Call.PLAIN) == by_the_runtime(prefix + item, Call.PLAIN) == "malformed"


@given(st.binary(max_size=60), st.sampled_from(list(Call)))
@settings(deadline=None, max_examples=300)
def test_random_bytes_are_read_as_the_runtime_reads_them(body: bytes, call: Call) -> None:
    assert outcome(Normaliser(), body, call) == by_the_runtime(body, call)
    outcome(Normaliser(), body, call, "json")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["Aggregation", "SchemaUsage", "RequestCount", "ClientInfo", "Name", "Path",
                                         "TypeFieldMetrics", "Attributes", "OperationInfo", "Type", "[a.b]"]),
                        inner, max_size=3)), st.sampled_from(list(Call)))  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_any_json_is_read_or_rejected(value: Any, call: Call) -> None:
    outcome(Normaliser(), json.dumps({"Aggregation": value, "SchemaUsage": value}).encode(), call, "json")


# Connect


def test_the_paths_are_those_of_the_service() -> None:
    assert PATHS == {
        "/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/PublishAggregatedGraphQLMetrics": Call.AGGREGATED,
        "/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/PublishGraphQLMetrics": Call.PLAIN,
    }


def test_the_captured_request_is_not_refused() -> None:
    captured = json.loads((FIXTURES / "odd.headers.json").read_text())
    headers = {name.lower(): value for name, value in captured["headers"]}
    assert captured["path"] in PATHS
    assert refusal("POST", headers) is None


def test_success_is_an_empty_message_in_the_codec_of_the_request() -> None:
    assert success("application/proto") == Answer(200, {"content-type": "application/proto"}, b"")
    assert success("application/json; charset=utf-8") == Answer(200, {"content-type": "application/json"}, b"{}")
    assert [codec_of(name) for name in ("application/proto", "application/JSON;a=b", "text/plain")] == [
        "proto",
        "json",
        None,
    ]


@pytest.mark.parametrize(("method", "headers", "status", "code"), [
    ("GET", {}, 405, ""),
    ("POST", {}, 415, ""),
    ("POST", {"content-type": "application/grpc"}, 415, ""),
    ("POST", {"content-type": "application/connect+proto"}, 415, ""),
    ("POST", {"content-type": "application/proto", "content-encoding": "br"}, 501, "unimplemented"),
    ("POST", {"content-type": "application/proto", "connect-protocol-version": "2"}, 400, "invalid_argument"),
    ("POST", {"content-type": "application/proto", "connect-timeout-ms": "-1"}, 400, "invalid_argument"),
    ("POST", {"content-type": "application/proto", "connect-timeout-ms": "1" * 11}, 400, "invalid_argument"),
    ("POST", {"content-type": "application/json", "connect-timeout-ms": "٣"}, 400, "invalid_argument"),
])  # fmt: skip
def test_what_the_protocol_does_not_allow_is_refused(
    method: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = refusal(method, headers)
    assert answer is not None
    assert answer.status == status
    assert (json.loads(answer.body)["code"] if answer.body else "") == code
    assert ("accept-post" in answer.headers) is (status == 415)


@pytest.mark.parametrize(("code", "status"), [
    ("invalid_argument", 400), ("unauthenticated", 401), ("permission_denied", 403), ("resource_exhausted", 429),
    ("internal", 500), ("unimplemented", 501), ("unavailable", 503),
])  # fmt: skip
def test_an_error_has_the_status_of_its_code(code: str, status: int) -> None:
    answer = failure(code, 'why "so"')
    assert answer.status == status
    assert answer.headers == {"content-type": "application/json"}
    assert json.loads(answer.body) == {"code": code, "message": 'why "so"'}
