"""What one shape tells about the elements of a schema, arranged for judging changes.  Pure."""

from __future__ import annotations

from functools import cached_property, lru_cache

from graphql import GraphQLInputObjectType, GraphQLScalarType, GraphQLSchema, get_named_type, specified_scalar_types

from ..core.coordinate import Entry, Kind, State, argument, field
from ..core.shape import FULL_COVERAGE, Coverage, Shape
from .type_changes import Hit, all_reachable, reachable

_BUILT_IN = frozenset(specified_scalar_types)

PROVIDED = State.GIVEN | State.NULL | State.NULLABLE_VARIABLE
"""The place stands in the document or in the variables, whatever it holds."""


class Evidence:
    """The entries of a shape by kind, each sort gathered when it is asked for."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @cached_property
    def fields(self) -> dict[str, Entry]:
        return {entry.coordinate: entry for entry in self._of(Kind.FIELD)}

    @cached_property
    def enum_values(self) -> set[str]:
        return {entry.coordinate for entry in self._of(Kind.ENUM_VALUE)}

    @cached_property
    def directives(self) -> set[str]:
        return {entry.coordinate for entry in self._of(Kind.DIRECTIVE)}

    @cached_property
    def types(self) -> set[str]:
        """Every type whose existence matters: not that of an argument or input field that was absent."""
        absent = State.ABSENT if self.covers(Coverage.STATES) else None
        owners = self._of(Kind.TYPE, Kind.FIELD, Kind.INPUT, Kind.ENUM_VALUE)
        named = {entry.named_type for entry in self.shape.entries if entry.state != absent}
        return named | {_owner(entry) for entry in owners}

    @cached_property
    def returned(self) -> set[str]:
        """Named types of selected fields."""
        return {entry.named_type for entry in self._of(Kind.FIELD)}

    @cached_property
    def objects(self) -> set[str]:
        """Input object types that occurred."""
        return {_owner(entry) for entry in self._of(Kind.INPUT)}

    @cached_property
    def _places(self) -> dict[str, State]:
        return {entry.coordinate: entry.state for entry in self._of(Kind.ARGUMENT, Kind.INPUT)}

    @cached_property
    def _given(self) -> dict[str, str]:
        """A place that is not only absent → its named type where it ran."""
        places = (entry for entry in self._of(Kind.ARGUMENT, Kind.INPUT) if entry.state != State.ABSENT)
        return {entry.coordinate: entry.named_type for entry in places if entry.named_type}

    def _of(self, *kinds: Kind) -> list[Entry]:
        return [entry for entry in self.shape.entries if entry.kind in kinds]

    def covers(self, *coverage: Coverage) -> bool:
        return self.shape.coverage.issuperset(coverage)

    def occurred(self, coordinate: str) -> bool:
        """Was the field selected, the directive applied, or the input object given that an argument or input
        field belongs to?"""
        owner, is_argument, _ = coordinate.partition("(")
        if is_argument:
            return owner in self.fields or owner in self.directives
        return owner.partition(".")[0] in self.objects

    def place(self, coordinate: str, wanted: State) -> Hit:
        """Was an argument or input field in one of the wanted states?

        One without an entry was absent where it could have been: the reporter's schema did not have it yet.
        """
        state = self._places.get(coordinate, State.ABSENT if self.occurred(coordinate) else None)
        if state is None:
            return Hit.NO
        if not state or state & State.UNCERTAIN or not self.covers(Coverage.STATES):
            return Hit.MAYBE
        return Hit.YES if state & wanted else Hit.NO

    def reach(self, old: GraphQLSchema) -> frozenset[str]:
        """Types that values can hold in the arguments of the selected fields, or of any directive."""
        places = [place for directive in old.directives for place in directive.args.values()]
        for coordinate in self.fields:
            owner, _, name = coordinate.partition(".")
            definition = getattr(old.type_map.get(owner), "fields", {}).get(name)
            places += getattr(definition, "args", {}).values()
        return all_reachable((old,), (get_named_type(place.type).name for place in places))

    def moved(self, old: GraphQLSchema) -> frozenset[str]:
        """Types that values can hold at places that were of another type where the request ran.

        Its entries say nothing of those types.
        """
        types = _types_of_places(old) if self._given else {}
        others = [types[place] for place, type_ in self._given.items() if types.get(place, type_) != type_]
        others += [name for name in self._opaque() if not isinstance(old.type_map.get(name), GraphQLScalarType)]
        return all_reachable((old,), others) if others else frozenset()

    def _opaque(self) -> set[str]:
        """Types that may have been scalars where it ran: only Forebay's own agents tell."""
        if self.shape.coverage == FULL_COVERAGE:
            return {entry.coordinate for entry in self._of(Kind.TYPE) if entry.state & State.GIVEN}
        told = self.objects | {value.partition(".")[0] for value in self.enum_values}
        return {*self._given.values()} - told - _BUILT_IN


def places_of(schema: GraphQLSchema, type_: str) -> frozenset[str]:
    """Arguments and input fields in whose values one of this type can be."""
    return frozenset(
        coordinate for coordinate, named in _types_of_places(schema).items() if type_ in reachable(schema, named)
    )


def _owner(entry: Entry) -> str:
    return entry.coordinate.partition(".")[0]


@lru_cache(maxsize=16)
def _types_of_places(schema: GraphQLSchema) -> dict[str, str]:
    """Coordinate of an argument or input field → its named type."""
    found = {}
    for type_ in schema.type_map.values():
        for name, item in getattr(type_, "fields", {}).items():
            coordinate = field(type_.name, name)
            if isinstance(type_, GraphQLInputObjectType):
                found[coordinate] = get_named_type(item.type).name
            for argument_name, place in getattr(item, "args", {}).items():
                found[argument(type_.name, name, argument_name)] = get_named_type(place.type).name
    return found
