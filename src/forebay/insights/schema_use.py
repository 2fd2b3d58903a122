"""The schema with its use: which element was used how often, and which surely was not.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from ..core.coordinate import Kind
from ..core.shape import Coverage
from ..core.supergraph import Subgraphs
from .answers import About, ElementUse, TypeUse, Verdict
from .published import Element, Published, kind_of, types_of

_SEEN_BY = {
    Kind.TYPE: Coverage.FIELDS,
    Kind.FIELD: Coverage.FIELDS,
    Kind.ARGUMENT: Coverage.ARGUMENTS,
    Kind.INPUT: Coverage.INPUTS,
    Kind.ENUM_VALUE: Coverage.ENUM_VALUES,
}


class Counted(NamedTuple):
    """Requests that may have used an element, and `certain`: those that surely did."""

    requests: int
    certain: int
    last_seen: datetime


Counts = Mapping[tuple[Kind, str], Counted]


def schema_use(
    published: Published, counts: Counts, enums_returned: Collection[str], about: About
) -> tuple[TypeUse, ...]:
    """`enums_returned`: enums of which fields were selected; which of their values came back, nobody saw."""
    reported = _Reported(counts, about, published.subgraphs)
    return tuple(
        _type(Element(Kind.TYPE, type_.name, kind_of(type_)), elements, reported, type_.name in enums_returned)
        for type_, elements in types_of(published.schema)
    )


class _Reported(NamedTuple):
    counts: Counts
    about: About
    subgraphs: Subgraphs


def _type(own: Element, elements: tuple[Element, ...], reported: _Reported, returned: bool) -> TypeUse:
    inner = tuple(_element(element, reported, returned) for element in elements)
    return TypeUse(_element(own, reported, returned, inner), inner)


def _element(element: Element, reported: _Reported, returned: bool, inside: tuple[ElementUse, ...] = ()) -> ElementUse:
    """`inside`: a type is used at least as much as any of its elements."""
    counts, about, subgraphs = reported
    counted = counts.get((element.kind, element.coordinate))
    requests = max([counted.requests if counted else 0, *(each.requests for each in inside)])
    seen = [each.last_seen for each in inside if each.last_seen] + ([counted.last_seen] if counted else [])
    if (counted and counted.certain) or any(each.verdict is Verdict.USED for each in inside):
        verdict, why = Verdict.USED, ""
    else:
        verdict, why = _verdict(element.kind, requests, returned, about)
    return ElementUse(
        kind=element.kind,
        coordinate=element.coordinate,
        type=element.type,
        deprecated=element.deprecated,
        requests=requests,
        share=requests / about.requests if about.requests else 0.0,
        last_seen=max(seen, default=None),
        verdict=verdict,
        why=why,
        arguments=tuple(_element(argument, reported, False) for argument in element.arguments),
        subgraphs=subgraphs.get(element.coordinate, ()),
    )


def _verdict(kind: Kind, requests: int, returned: bool, about: About) -> tuple[Verdict, str]:
    """Of what nobody surely used."""
    if requests:
        return Verdict.UNKNOWN, "some reporters do not tell whether it was given"
    if kind is Kind.ENUM_VALUE and returned:
        return Verdict.UNKNOWN, "fields of this enum were selected; which values they returned is not seen"
    if _SEEN_BY[kind] not in about.coverage:
        return Verdict.UNKNOWN, f"some reporters do not see {_SEEN_BY[kind].replace('_', ' ')}"
    if not about.complete:
        return Verdict.UNKNOWN, about.incomplete[0]
    return Verdict.UNUSED, ""
