"""What the variables of a request decide about its shape, read fast and without keeping any value.

A *form* holds, per variable, whether it was given, null or absent, and per type of input that
occurred in the variables the union of what was seen there, as a number: three bits for each
field of an input object (given, null, absent), one bit for each value of an enum.  Nothing else
of the variables is kept.  Lists of any depth are looked through (specification, section "List":
Input Coercion); what cannot be coerced is ignored, since such a request uses nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLScalarType,
    get_named_type,
    specified_scalar_types,
)

from ..core.coordinate import Entry, Kind, State, field

MAX_VALUES: Final = 10_000
"""How many input objects and list elements of one request are looked at: about 10 ms."""

UNREAD: Final = "unread"
"""The form of variables that are larger than that: their states are not known."""

# Forms are hashed for every request, and plain numbers hash faster than the members of an enum.
GIVEN, NULL, ABSENT = int(State.GIVEN), int(State.NULL), int(State.ABSENT)

_MISSING: Final = object()
_LISTS: Final = (list, tuple, set, frozenset)
_NO_USE: Final = frozenset({*specified_scalar_types, "_Any", "_Entity", "_Service"})


class Variable(NamedTuple):
    """One variable that decides about the shape.

    `null` and `absent` are its states when it is null or absent: given for a variable whose own
    state doesn't matter.  `places` are the arguments and input fields that take its state.
    """

    name: str
    null: int
    absent: int
    plan: Plan | None
    places: tuple[Entry, ...]


class Plan:
    """How values of one input type are read.  Plans of one schema share `plans`, and are made when first needed."""

    __slots__ = ("_plans", "_type", "absent", "fields", "name", "values")

    def __init__(self, type_: GraphQLInputObjectType | GraphQLEnumType, plans: dict[str, Plan]) -> None:
        self.name = type_.name
        self.absent = 0
        self.values: dict[str, int] = {}
        self.fields: dict[str, tuple[int, int, Plan | None]] | None = None
        self._type = type_
        self._plans = plans
        if isinstance(type_, GraphQLEnumType):
            self.values = {name: 1 << number for number, name in enumerate(type_.values)}
        else:
            self.absent = sum(ABSENT << 3 * number for number in range(len(type_.fields)))

    def compiled(self) -> dict[str, tuple[int, int, Plan | None]]:
        """Per field: what a given value flips in `absent`, what a null flips, and the plan of its contents."""
        definitions: dict[str, GraphQLInputField] = getattr(self._type, "fields", {})
        self.fields = {
            name: (
                (GIVEN | ABSENT) << 3 * number,
                (NULL | ABSENT) << 3 * number,
                plan_of(get_named_type(definition.type), self._plans),
            )
            for number, (name, definition) in enumerate(definitions.items())
        }
        return self.fields

    def entries(self, bits: int) -> Iterator[Entry]:
        """What was seen of this type, as entries."""
        yield from type_entries(self.name)
        if isinstance(self._type, GraphQLEnumType):
            for name, bit in self.values.items():
                if bits & bit:
                    yield Entry(Kind.ENUM_VALUE, field(self.name, name))
            return
        for number, (name, definition) in enumerate(self._type.fields.items()):
            state = State(bits >> 3 * number & 7)
            named_type = get_named_type(definition.type)
            yield Entry(Kind.INPUT, field(self.name, name), named_type.name, state)
            if state & ~State.ABSENT:
                yield from provided(named_type)


def type_entries(*names: str) -> Iterator[Entry]:
    """TYPE entries for those of the named types that a schema's owner can take away."""
    for name in names:
        if name not in _NO_USE and not name.startswith("__"):
            yield Entry(Kind.TYPE, name)


def provided(type_: GraphQLNamedType) -> Iterator[Entry]:
    """The TYPE entry of what an argument or input field holds; of a scalar marked as given, since its contents have
    no entries, whatever else it may be on a later schema."""
    state = State.GIVEN if isinstance(type_, GraphQLScalarType) else State.NONE
    return (entry._replace(state=state) for entry in type_entries(type_.name))


def plan_of(type_: GraphQLNamedType, plans: dict[str, Plan]) -> Plan | None:
    """The plan of an input object or enum type; None for scalars, of which only the state counts."""
    if not isinstance(type_, GraphQLInputObjectType | GraphQLEnumType):
        return None
    return plans.get(type_.name) or plans.setdefault(type_.name, Plan(type_, plans))


def form_of(inputs: Sequence[Variable], variables: Mapping[str, Any] | None) -> Hashable:
    """The form of these variables.  Never raises."""
    states: list[int] = []
    seen: dict[str, int] = {}
    try:
        get = (variables if isinstance(variables, dict) else dict(variables or ())).get
        for name, null, absent, plan, _ in inputs:
            value = get(name, _MISSING)
            if value is _MISSING:
                states.append(absent)
            elif value is None:
                states.append(null)
            else:
                states.append(GIVEN)
                if plan is not None and not _read(plan, value, seen):
                    return UNREAD
    except Exception:  # a mapping of the host's, or one that another thread is changing
        return UNREAD
    return tuple(states), frozenset(seen.items())


def entries_of(inputs: Sequence[Variable], form: Any, plans: Mapping[str, Plan]) -> Iterator[Entry]:
    """The entries that a form of these variables stands for."""
    if not inputs:
        return
    states, seen = ([State.UNCERTAIN] * len(inputs), ()) if form == UNREAD else form
    for variable, state in zip(inputs, states, strict=True):
        for place in variable.places:
            yield place._replace(state=place.state | State(state))
    for name, bits in seen:
        yield from plans[name].entries(bits)


def _read(plan: Plan, value: Any, seen: dict[str, int]) -> bool:
    """Add to `seen` what the value holds; False if it is too large.  Not recursive: users choose the depth."""
    left = MAX_VALUES
    pending = [(plan, value)]
    while pending:
        plan, value = pending.pop()
        if isinstance(value, str):
            bit = plan.values.get(value)
            if bit is not None:
                seen[plan.name] = seen.get(plan.name, 0) | bit
        elif isinstance(value, dict):
            fields = plan.fields
            if fields is None:
                fields = plan.compiled()
            left -= 1
            bits = plan.absent
            for name, item in value.items():
                code = fields.get(name)
                if code is None:
                    continue
                if item is None:
                    bits ^= code[1]
                    continue
                bits ^= code[0]
                if code[2] is not None:
                    pending.append((code[2], item))
            seen[plan.name] = seen.get(plan.name, 0) | bits
        elif isinstance(value, _LISTS):
            left -= len(value)
            if left >= 0:
                pending.extend((plan, item) for item in value)
        if left < 0:
            return False
    return True
