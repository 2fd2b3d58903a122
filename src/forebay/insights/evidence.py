"""What one shape tells about the elements of a schema, arranged for judging changes.  Pure."""

from __future__ import annotations

from functools import lru_cache

from graphql import GraphQLField, GraphQLInputObjectType, GraphQLSchema, get_named_type

from ..core.coordinate import Entry, Kind, State, argument, field
from ..core.shape import Coverage, Shape
from .type_changes import Hit, all_reachable, reachable

PROVIDED = State.GIVEN | State.NULL | State.NULLABLE_VARIABLE
"""The place stands in the document or in the variables, whatever it holds."""


class Evidence:
    """The entries of a shape by kind.

    `types`: every type whose existence matters; `returned`: named types of selected fields;
    `objects`: input object types that occurred.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.fields: dict[str, Entry] = {}
        self.enum_values: set[str] = set()
        self.directives: set[str] = set()
        self.types: set[str] = set()
        self.returned: set[str] = set()
        self.objects: set[str] = set()
        self._places: dict[str, State] = {}
        self._given: dict[str, str] = {}  # a place that is not only absent → its named type where it ran
        for entry in shape.entries:
            self._add(entry)

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

    def gone(self, old: GraphQLSchema, new: GraphQLSchema) -> str:
        """A selected field that only the old schema has; empty if there is none, or if that can't be told.

        Its document is broken for sure: all fields that are left return the types that they returned
        where it ran, so each selection stands on the type that it stood on.
        """
        gone = ""
        for coordinate, entry in self.fields.items():
            before, after = (_field(schema, coordinate) for schema in (old, new))
            if before is None or (after is not None and get_named_type(after.type).name != entry.named_type):
                return ""
            if after is None and not _of_interface(old, coordinate):
                gone = coordinate
        return gone if gone and self._root(old) == self._root(new) != "" else ""

    def moved(self, old: GraphQLSchema) -> frozenset[str]:
        """Types that values can hold at places that were of another type where the request ran.

        Its entries say nothing of those types.
        """
        if not self._given:
            return frozenset()
        types = _types_of_places(old)
        others = [types[place] for place, type_ in self._given.items() if types.get(place, type_) != type_]
        return all_reachable((old,), others) if others else frozenset()

    def _root(self, schema: GraphQLSchema) -> str:
        types = {"query": schema.query_type, "mutation": schema.mutation_type, "subscription": schema.subscription_type}
        return getattr(types.get(self.shape.type), "name", "")

    def _add(self, entry: Entry) -> None:
        kind, coordinate, named, _ = entry
        self.types.add(named)
        match kind:
            case Kind.TYPE:
                self.types.add(coordinate)
            case Kind.FIELD:
                self.fields[coordinate] = entry
                self.returned.add(named)
                self.types.add(coordinate.partition(".")[0])
            case Kind.ARGUMENT:
                self._place(entry)
            case Kind.INPUT:
                self._place(entry)
                self.objects.add(coordinate.partition(".")[0])
                self.types.add(coordinate.partition(".")[0])
            case Kind.ENUM_VALUE:
                self.enum_values.add(coordinate)
                self.types.add(coordinate.partition(".")[0])
            case Kind.DIRECTIVE:
                self.directives.add(coordinate)

    def _place(self, entry: Entry) -> None:
        self._places[entry.coordinate] = entry.state
        if entry.named_type and entry.state != State.ABSENT:
            self._given[entry.coordinate] = entry.named_type


def places_of(schema: GraphQLSchema, type_: str) -> frozenset[str]:
    """Arguments and input fields in whose values one of this type can be."""
    return frozenset(
        coordinate for coordinate, named in _types_of_places(schema).items() if type_ in reachable(schema, named)
    )


def _field(schema: GraphQLSchema, coordinate: str) -> GraphQLField | None:
    type_, _, name = coordinate.partition(".")
    found: GraphQLField | None = getattr(schema.type_map.get(type_), "fields", {}).get(name)
    return found


def _of_interface(schema: GraphQLSchema, coordinate: str) -> bool:
    """Is it recorded of an object type, perhaps, because it was selected on an interface?"""
    type_, _, name = coordinate.partition(".")
    return any(name in each.fields for each in getattr(schema.type_map.get(type_), "interfaces", ()))


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
