"""What each kind of change asks of the entries of a shape.  Pure.

`by_entries` goes by entries alone.  `when_valid` is for a shape whose document is known to stay
valid: then only what variables carried and what clients read can still matter.  Both answer None
where the change cannot matter whatever the entries are, and an effect of NO where they don't show it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import GraphQLNonNull, GraphQLSchema, get_named_type, is_composite_type

from ..core.coordinate import State
from ..core.shape import Coverage, OperationType
from .conditions import possible
from .documents import Judged
from .evidence import PROVIDED, Evidence
from .place_changes import Change, Severity, default, taken
from .type_changes import (
    BUILT_IN,
    VALIDATES_ONE_OF,
    Hit,
    around,
    is_opaque,
    of_interfaces,
    output_fits,
    root_name,
    shown_in_literals,
    value_refused,
)


class Effect(NamedTuple):
    """`why` says in a sentence what the message of the change doesn't."""

    hit: Hit
    why: str = ""


class Schemas(NamedTuple):
    old: GraphQLSchema
    new: GraphQLSchema


_VALUES = "which values were sent, and by variables of which type, is not known"

TOO_LARGE = Effect(Hit.MAYBE, "its document is too large to tell")
NO = Effect(Hit.NO)
YES = Effect(Hit.YES)


def by_entries(schemas: Schemas, change: Change, evidence: Evidence) -> Effect | None:
    """What the entries tell about a change."""
    rule = _BY_ENTRIES.get(change.kind.removeprefix("directive_") if "(" in change.coordinate else change.kind)
    return rule(schemas, change, evidence) if rule else None


def when_valid(schemas: Schemas, change: Change, evidence: Evidence, judged: Judged) -> Effect | None:
    """The same for a valid document."""
    if change.severity is not Severity.BREAKING:
        return by_entries(schemas, change, evidence)
    owner = change.coordinate.partition(".")[0]
    match change.kind:
        case "type_kind_changed":
            involved = owner in evidence.types or owner in judged.reach
            return _of_another_kind(schemas, owner, evidence, judged) if involved else NO
        case "field_type_changed":
            name = change.coordinate.partition(".")[2]
            old, new = (type_of(schema, owner).fields[name].type for schema in schemas)
            if not output_fits(old, new):
                return by_entries(schemas, change, evidence)
            return _reshaped(schemas, change, evidence, judged)
        case "root_type_changed":
            return _reshaped(schemas, change, evidence, judged)
        case "interface_removed" | "union_member_removed":
            return _condition(change, judged)
        case "argument_type_changed" | "directive_argument_type_changed":
            return _type_when_valid(schemas, change, evidence, judged, in_variables=False)
        case "input_field_type_changed":
            return _type_when_valid(schemas, change, evidence, judged, in_variables=owner in judged.reach)
        case "one_of_added":
            return _one_of_when_valid(schemas, change, evidence, judged)
        case "input_field_removed" | "input_field_added" | "input_field_default_changed" | "enum_value_removed":
            return by_entries(schemas, change, evidence)
        case "argument_default_changed":
            # Of an object type: a document that selects the field on an interface is valid by the default there.
            return by_entries(schemas, change, evidence)
    return None  # it would show in the document


def type_of(schema: GraphQLSchema, name: str) -> Any:
    return schema.type_map[name]


def place_of(schema: GraphQLSchema, coordinate: str) -> Any:
    """The definition of an argument or input field."""
    owner, _, argument = coordinate.removesuffix(":)").partition("(")
    if owner.startswith("@"):
        return next(each for each in schema.directives if each.name == owner[1:]).args[argument]
    type_, _, name = owner.partition(".")
    item = type_of(schema, type_).fields[name]
    return item.args[argument] if argument else item


def _yes(condition: bool) -> Effect:
    return YES if condition else NO


def _stated(hit: Hit) -> Effect:
    return Effect(hit, "in which states it was sent is not known" if hit is Hit.MAYBE else "")


def _root(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    if evidence.shape.type is OperationType.UNKNOWN:
        return Effect(Hit.MAYBE, "which type of operation it was is not known")
    root = root_name(schemas.old, change.detail)
    if evidence.shape.type != change.detail == "query" and root in evidence.returned:
        return Effect(Hit.MAYBE, f"whether it asks {root} for the schema itself is not known")
    return _yes(evidence.shape.type == change.detail)


def _type(schemas: Schemas, change: Change, evidence: Evidence) -> Effect | None:
    if change.coordinate in BUILT_IN:
        return _built_in(schemas, change.coordinate, evidence)
    if change.coordinate in evidence.types:
        return YES
    return _met(change.coordinate) if len(around(schemas.old, change.coordinate) & evidence.types) > 1 else NO


def _built_in(schemas: Schemas, name: str, evidence: Evidence) -> Effect | None:
    """Where a custom scalar is given, there can be variables of any type."""
    if evidence.covers(Coverage.DOCUMENT):
        return YES if re.search(rf"\$\w+: \[*{name}\b", evidence.shape.document) else None
    if name in evidence.types:
        return YES
    if any(is_opaque(type_of(schemas.old, each)) for each in evidence.reach(schemas.old)):
        return Effect(Hit.MAYBE, f"whether a variable of {name} stands inside a custom scalar is not known")
    return NO


def _met(member: str) -> Effect:
    return Effect(Hit.MAYBE, f"its document is not known, in which conditions may meet in {member}")


def _left(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    """An object type left an abstract one: who uses both, or a third type that the object belongs to as well: one may
    have been a condition inside the other, and the object can stand there perhaps only since it ran."""
    abstract, member = _pair(change)
    if evidence.types >= {abstract, member}:
        return YES
    met = around(schemas.old, member) & evidence.types
    return _met(member) if abstract in met and len(met) > 1 else NO


def _pair(change: Change) -> tuple[str, str]:
    """The abstract type that lost an object type, and that."""
    pair = (change.coordinate, change.detail)
    return pair if change.kind == "union_member_removed" else (pair[1], pair[0])


def _returned(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    """What stands behind an abstract type or enum has grown: whoever selects fields of it may meet it."""
    grown = change.detail if change.kind in ("type_added", "interface_added") else change.coordinate.partition(".")[0]
    return _yes(grown in evidence.returned)


def _condition(change: Change, judged: Judged) -> Effect | None:
    """An object type left an abstract one: a condition on that no longer applies to it."""
    abstract, member = _pair(change)
    if judged.answers is None:
        return TOO_LARGE
    if (abstract, member) in judged.answers.lost:
        return Effect(Hit.YES, f"what it selects on {abstract} is no longer answered for {member}")
    return None


def _of_another_kind(schemas: Schemas, name: str, evidence: Evidence, judged: Judged) -> Effect | None:
    """An object type, interface or union that became another of these is as good as before, where what the document
    selects of it takes and answers the same on every type that can stand there now."""
    old, new = (type_of(schema, name) for schema in schemas)
    if not (is_composite_type(old) and is_composite_type(new)):
        return Effect(Hit.MAYBE, f"what was sent or returned as {name} is not known")
    if judged.answers is None:
        return TOO_LARGE
    if any(condition == name for condition, _ in judged.answers.lost):
        return Effect(Hit.YES, f"what it selects on {name} is no longer answered")
    selected = {each: item for each, item in getattr(old, "fields", {}).items() if f"{name}.{each}" in evidence.fields}
    owners = [type_of(schemas.new, each) for each in {name, *possible(schemas.new, name)}]
    same = all(
        output_fits(item.type, now.type) and taken(item) == taken(now)
        for each, item in selected.items()
        for now in (getattr(owner, "fields", {}).get(each) for owner in owners)
        if now
    )
    return None if same and not judged.answers.reshaped else Effect(Hit.MAYBE, f"{name} takes or answers other things")


def _reshaped(schemas: Schemas, change: Change, evidence: Evidence, judged: Judged) -> Effect | None:
    """Objects of another type stand there, of which the document selects the same."""
    if judged.answers and not judged.answers.reshaped:
        return None
    effect = by_entries(schemas, change, evidence)
    if effect is None or not effect.hit:
        return effect
    return Effect(effect.hit, "what it selects there is of another form") if judged.answers else TOO_LARGE


def _field(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    return _yes(change.coordinate in evidence.fields)


def _directive(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    return _yes(change.coordinate in evidence.directives)


def _removed(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    return _stated(evidence.place(change.coordinate, PROVIDED))


def _added(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    return _yes(evidence.occurred(change.coordinate))


def _default(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    required = change.severity is Severity.BREAKING
    states = State.ABSENT | State.NULLABLE_VARIABLE if required else State.ABSENT
    if required and not evidence.occurred(change.coordinate):
        field, _, argument = change.coordinate.partition("(")
        above = (f"{each}({argument}" for each in of_interfaces(schemas.old, field) if each in evidence.fields)
        if any(evidence.place(each, states) for each in above):
            return Effect(Hit.MAYBE, f"whether {field} can be meant since it ran is not known")
    return _stated(evidence.place(change.coordinate, states))


def _type_changed(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    """Without a document, whatever was provided may have come by a variable of the old type, even if it held null."""
    old, new = (place_of(schema, change.coordinate) for schema in schemas)
    same = str(old.type).removesuffix("!") == str(new.type).removesuffix("!")
    refused = value_refused(old.type, new.type)
    required = _refused_states(new)
    if State.ABSENT in required:
        required |= State.NULLABLE_VARIABLE
    unsure = Effect(min(evidence.place(change.coordinate, PROVIDED), Hit.NO if same else Hit.MAYBE), _VALUES)
    return max(_type_effect(change, evidence, required, refused), unsure, key=lambda effect: effect.hit)


def _type_when_valid(
    schemas: Schemas, change: Change, evidence: Evidence, judged: Judged, in_variables: bool
) -> Effect | None:
    """`in_variables`: the input object can be inside a variable, which no document shows.  A list of the document
    can hold a null all the same: `[$x]`, from a variable whose default null overrides."""
    old, new = (place_of(schema, change.coordinate) for schema in schemas)
    refused = value_refused(old.type, new.type)
    states = _refused_states(new)
    if not in_variables:
        shown = shown_in_literals(get_named_type(old.type), get_named_type(new.type), judged.nullable)
        refused = Hit.NO if shown and not judged.in_lists else min(refused, Hit.MAYBE)
        if "(" not in change.coordinate:
            states &= State.NULL  # an argument can be absent, as where its interface has a default
    if not refused and not states:
        return None
    return _type_effect(change, evidence, states, refused)


def _refused_states(place: Any) -> State:
    if not isinstance(place.type, GraphQLNonNull):
        return State.NONE
    return State.NULL | State.ABSENT if default(place) is None else State.NULL


def _type_effect(change: Change, evidence: Evidence, states: State, refused: Hit) -> Effect:
    """Broken by one of these states, or by a value that is refused."""
    by_state = evidence.place(change.coordinate, states)
    by_value = min(evidence.place(change.coordinate, State.GIVEN), refused)
    if by_value > by_state and by_value is Hit.MAYBE:
        return Effect(Hit.MAYBE, _VALUES)
    return _stated(max(by_state, by_value))


def _one_of(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    """In a literal, a variable has to be of non-null type, whatever it held: only documents tell."""
    effect = _one_field(schemas, change, evidence)
    return effect if effect.hit or change.coordinate not in evidence.objects else Effect(Hit.MAYBE, _VALUES)


def _one_field(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    name = change.coordinate
    if name not in evidence.objects:
        return NO
    places = [f"{name}.{each}" for each in type_of(schemas.old, name).fields]
    given = [place for place in places if evidence.place(place, PROVIDED)]
    always = [place for place in given if not evidence.place(place, State.ABSENT)]
    if not given or len(always) > 1 or any(evidence.place(place, State.NULL) is Hit.YES for place in places):
        return YES
    if len(given) == len(always) == 1 and not evidence.place(given[0], State.NULLABLE_VARIABLE):
        return NO
    return Effect(Hit.MAYBE, f"whether each {name} held exactly one field is not known")


def _one_of_when_valid(schemas: Schemas, change: Change, evidence: Evidence, judged: Judged) -> Effect | None:
    """In a literal, which holds one field, a variable decides whether that is null; no document shows it."""
    if not VALIDATES_ONE_OF:
        return by_entries(schemas, change, evidence)
    name, states = change.coordinate, State.NULL | State.NULLABLE_VARIABLE
    places = (f"{name}.{each}" for each in type_of(schemas.old, name).fields)
    if name in judged.reach or any(evidence.place(place, states) for place in places):
        return _one_field(schemas, change, evidence)
    if not judged.nullable or evidence.covers(Coverage.INPUTS):
        return None
    possible = not evidence.covers(Coverage.FIELDS) or name in evidence.reach(schemas.old)
    return Effect(Hit.MAYBE, _VALUES) if possible else None


def _enum_value(schemas: Schemas, change: Change, evidence: Evidence) -> Effect:
    if change.coordinate in evidence.enum_values:
        return YES
    enum = change.coordinate.partition(".")[0]
    if enum in evidence.returned:
        return Effect(Hit.MAYBE, f"it selects fields of {enum}: whether {change.coordinate} was returned is not known")
    return NO


_BY_ENTRIES: dict[str, Callable[[Schemas, Change, Evidence], Effect | None]] = {
    "root_type_changed": _root,
    "type_removed": _type,
    "type_kind_changed": _type,
    "specified_by_changed": _type,
    "type_added": _returned,
    "interface_removed": _left,
    "interface_added": _returned,
    "union_member_removed": _left,
    "union_member_added": _returned,
    "field_removed": _field,
    "field_type_changed": _field,
    "argument_removed": _removed,
    "argument_added": _added,
    "argument_type_changed": _type_changed,
    "argument_default_changed": _default,
    "input_field_removed": _removed,
    "input_field_added": _added,
    "input_field_type_changed": _type_changed,
    "input_field_default_changed": _default,
    "one_of_added": _one_of,
    "enum_value_removed": _enum_value,
    "enum_value_added": _returned,
    "directive_removed": _directive,
    "directive_location_removed": _directive,
    "directive_repeatable_removed": _directive,
}
