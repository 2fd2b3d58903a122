"""Whom a change breaks: one shape against all changes between two schemas.  Pure.

Judge 1 is validation: where the shape's document is stored and stays valid, no change that shows
in documents breaks it.  Judge 2 are its entries (`rules`): what variables carried, what clients
read, and everything where there is no document.  What neither can tell is a MAYBE, never a NO.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from graphql import GraphQLSchema, get_named_type, is_abstract_type, is_input_type

from ..core.shape import Coverage, Shape
from .documents import MOST_DOCUMENTS, Documents, Judged
from .evidence import Evidence
from .gone import Gone
from .place_changes import Change, Severity
from .rules import NO, Effect, by_entries, when_valid
from .touches import Comparison, needs
from .type_changes import Hit

UNSEEN = Effect(Hit.MAYBE, "the reporter does not show what is needed to tell")
TOO_MANY = f"more than {MOST_DOCUMENTS:,} documents are concerned: the rest was judged by its entries alone"


class Impact(NamedTuple):
    """Effects other than NO by the number of the change; `unexplained`: why the document broke, if no change tells."""

    effects: dict[int, Effect]
    unexplained: str = ""


class Judge:
    """Judges shapes; many at a time are cheaper."""

    def __init__(self, compared: Comparison) -> None:
        self._schemas, self._changes, self._moved = compared.schemas, compared.changes, compared.moved
        self._documents = Documents(*compared.schemas)
        self._gone = Gone(*compared.schemas)

    def judge(self, shapes: Sequence[Shape]) -> list[Impact]:
        """What the changes do to requests of each of these shapes."""
        weighed = [(evidence := Evidence(shape), self._gone.selected(evidence)) for shape in shapes]
        self._documents.read(evidence.shape.document for evidence, gone in weighed if _is_read(evidence, gone))
        return [self._impact(evidence, gone) for evidence, gone in weighed]

    def _impact(self, evidence: Evidence, gone: str) -> Impact:
        if evidence.shape.invalid:
            return Impact({})  # it was refused before the change
        if gone and evidence.covers(Coverage.DOCUMENT):
            return self._attributed(evidence, f"It selects {gone}, which is gone.")
        judged = self._documents.judge(evidence.shape.document) if _is_read(evidence, gone) else None
        if judged is not None and judged.broken:
            return self._attributed(evidence, judged.broken[0])
        effects = {number: self._effect(change, evidence, judged) for number, change in enumerate(self._changes)}
        effects |= self._of_moved(evidence.moved(self._schemas.old), effects)
        effects |= self._of_moved(self._moved.types(evidence), effects, evidence.shape.document if judged else None)
        return Impact({number: effect for number, effect in effects.items() if effect.hit})

    def _of_moved(
        self, moved: frozenset[str], effects: dict[int, Effect], valid: str | None = None
    ) -> dict[int, Effect]:
        """Entries tell nothing of these types: what breaking changes of them do that have no effect so far.

        `valid`: a document that stays so, and tells the rest.
        """
        return {
            number: Effect(Hit.MAYBE, "it ran on a schema that had another type there")
            for number, change in enumerate(self._changes if moved else ())
            if change.severity is Severity.BREAKING
            and _owner(change) in moved
            and not effects.get(number, NO).hit
            and (valid is None or self._moved.hidden(change, valid))
        }

    def _attributed(self, evidence: Evidence, error: str) -> Impact:
        """The document broke: the breaking changes that its entries touch did it."""
        effects, explained = {}, False
        for number, change in enumerate(self._changes):
            if change.severity is Severity.SAFE or (effect := by_entries(self._schemas, change, evidence)) is None:
                continue
            if effect.hit and change.severity is Severity.BREAKING:
                effect, explained = Effect(Hit.YES, error), True
            elif not effect.hit and not self._visible(change, evidence, evidence.shape.coverage):
                effect = UNSEEN
            if effect.hit:
                effects[number] = effect
        effects |= self._of_moved(self._moved.types(evidence), effects)
        return Impact(effects, "" if explained else error)

    def _effect(self, change: Change, evidence: Evidence, judged: Judged | None) -> Effect:
        if change.severity is Severity.SAFE:
            return self._unmerged(change, evidence) if judged is None else NO
        if judged is None:
            effect = by_entries(self._schemas, change, evidence)
        else:
            effect = when_valid(self._schemas, change, evidence, judged)
        seen = evidence.shape.coverage if judged else evidence.shape.coverage - {Coverage.DOCUMENT}
        if effect is not None and not effect.hit and not self._visible(change, evidence, seen, judged):
            unread = judged is None and evidence.covers(Coverage.DOCUMENT) and self._documents.full
            return Effect(Hit.MAYBE, TOO_MANY) if unread else UNSEEN
        return effect or NO

    def _visible(
        self, change: Change, evidence: Evidence, seen: frozenset[Coverage], judged: Judged | None = None
    ) -> bool:
        """Would entries of this coverage show it if the change mattered to this shape?"""
        needed = needs(change)
        if change.kind in ("type_removed", "type_kind_changed") and is_input_type(
            self._schemas.old.type_map[_owner(change)]
        ):
            needed |= {Coverage.ARGUMENTS, Coverage.INPUTS}
        if needed <= seen:
            return True
        owner = change.coordinate.partition("(")[0]
        if owner.startswith("@") and Coverage.DOCUMENT in seen:
            return owner not in evidence.shape.document
        if "(" in change.coordinate and Coverage.FIELDS in seen and not owner.startswith("@"):
            return owner not in evidence.fields
        if not needed & {Coverage.INPUTS, Coverage.ENUM_VALUES} or (
            judged and judged.nullable and change.kind.endswith("type_changed")
        ):
            return False
        if Coverage.FIELDS not in seen and (judged is None or Coverage.FIELDS in needed):
            return False
        reach = judged.reach if judged else evidence.reach(self._schemas.old)
        return owner.partition(".")[0] not in reach

    def _unmerged(self, change: Change, evidence: Evidence) -> Effect:
        """A safe change of a field's type can keep it from merging with another's: only documents tell."""
        if not may_keep_from_merging(self._schemas.old, change):
            return NO
        selected = change.coordinate in evidence.fields or not evidence.covers(Coverage.FIELDS)
        if selected or _owner(change) in self._moved.types(evidence):
            return Effect(Hit.MAYBE, "its document is not known, in which this field must merge with others")
        return NO


def _is_read(evidence: Evidence, gone: str) -> bool:
    """Does its document have to be judged?"""
    return evidence.covers(Coverage.DOCUMENT) and not gone and not evidence.shape.invalid


def _owner(change: Change) -> str:
    """The type that a change is about, or whose field or value."""
    return change.coordinate.partition("(")[0].partition(".")[0]


def may_keep_from_merging(old: GraphQLSchema, change: Change) -> bool:
    """Can a change of this field's type make "Fields In Set Can Merge" fail, beside a sibling type's field?"""
    return change.kind == "field_type_changed" and _owner(change) in _merging(old)


@lru_cache(maxsize=16)
def _merging(schema: GraphQLSchema) -> frozenset[str]:
    """The types of which fields of two may have to merge: abstract ones, their object types, and all below."""
    found: set[str] = set()
    pending: list[Any] = [each for each in schema.type_map.values() if is_abstract_type(each)]
    while pending:
        type_ = pending.pop()
        if type_.name not in found:
            found.add(type_.name)
            pending += schema.get_possible_types(type_) if is_abstract_type(type_) else ()
            pending += [get_named_type(field.type) for field in getattr(type_, "fields", {}).values()]
    return frozenset(found)
