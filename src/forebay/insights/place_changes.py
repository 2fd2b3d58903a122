"""Changes of what stands at a place: arguments, defaults, types of inputs, applied directives.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLNamedType,
    GraphQLNonNull,
    Undefined,
    get_named_type,
    is_required_argument,
    print_ast,
)

from ..core.coordinate import argument
from ..core.shape import content_hash
from .type_changes import input_accepts, written_on


class Severity(StrEnum):
    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


BREAKING, DANGEROUS, SAFE = Severity


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `detail` names the member, interface, location or directive that it is about.

    `content`: what else decides whom it breaks, where that is no change of its own.
    """

    kind: str
    coordinate: str
    severity: Severity
    message: str
    detail: str = ""
    content: str = ""

    def id(self) -> str:
        """A hash of all that it is: the same change between other schemas has the same."""
        whole = (self.kind, self.coordinate, self.severity, self.detail, self.content, self.message)
        return content_hash("\n".join(whole).encode())[:16]


def arguments(
    prefix: str,
    kind: str,
    old: dict[str, GraphQLArgument],
    new: dict[str, GraphQLArgument],
    owner: tuple[str, str] | None = None,
) -> Iterator[Change]:
    """Of a field (`owner`), or of a directive, whose `prefix` is `@name(`."""

    def coordinate(name: str) -> str:
        return argument(*owner, name) if owner else f"{prefix}{name}:)"

    if not (old or new):
        return
    for name in sorted(old.keys() - new.keys()):
        yield Change(f"{kind}_removed", coordinate(name), BREAKING, f"argument {coordinate(name)} was removed")
    for name in sorted(new.keys() - old.keys()):
        # A directive is read by whoever wrote the operation; a field's new argument may change what it returns.
        optional = DANGEROUS if owner else SAFE
        severity = BREAKING if is_required_argument(new[name]) else optional
        what = "required" if severity is BREAKING else "optional"
        yield Change(f"{kind}_added", coordinate(name), severity, f"{what} argument {coordinate(name)} was added")
    for name in sorted(old.keys() & new.keys()):
        yield from place(kind, coordinate(name), old[name], new[name])


def place(
    kind: str, coordinate: str, old: GraphQLArgument | GraphQLInputField, new: GraphQLArgument | GraphQLInputField
) -> Iterator[Change]:
    """Type and default of an argument or input field.  A default taken from a non-null place makes it required."""
    if str(old.type) != str(new.type):
        severity = SAFE if input_accepts(old.type, new.type) else BREAKING
        yield retyped(f"{kind}_type_changed", coordinate, severity, old.type, new.type)
    before, after = default(old), default(new)
    if before != after:
        required = after is None and isinstance(new.type, GraphQLNonNull)
        message = f"the default of {coordinate} was {before or 'none'} and is {after or 'none'}"
        severity = BREAKING if required else DANGEROUS
        yield Change(f"{kind}_default_changed", coordinate, severity, message)
    yield from applied(coordinate, old, new)


def applied(coordinate: str, old: Any, new: Any) -> Iterator[Change]:
    """Description, deprecation, and the directives that stand on an element: operations do not see these."""
    if (was := old.description or "") != (is_ := new.description or ""):
        word = "lost its description" if not is_ else "is described otherwise" if was else "is described"
        yield Change("description_changed", coordinate, SAFE, f"{coordinate} {word}")
    before, after = getattr(old, "deprecation_reason", None), getattr(new, "deprecation_reason", None)
    if before != after:
        word = "is no longer deprecated" if after is None else f"is deprecated: {after}"
        yield Change("deprecation_changed", coordinate, SAFE, f"{coordinate} {word}")
    gone, come = _uses(old), _uses(new)
    if gone == come:
        return
    for text in sorted(gone.keys() - come.keys()):
        yield Change("directive_usage_removed", coordinate, SAFE, f"{coordinate} lost {text}", gone[text])
    for text in sorted(come.keys() - gone.keys()):
        yield Change("directive_usage_added", coordinate, SAFE, f"{coordinate} got {text}", come[text])


def _uses(element: Any) -> dict[str, str]:
    """As written → name, of the directives that the schema's author put on an element."""
    return {
        print_ast(each): f"@{each.name.value}"
        for each in written_on(element)
        if each.name.value not in ("deprecated", "oneOf", "specifiedBy")
    }


def default(place: GraphQLArgument | GraphQLInputField) -> str | None:
    """The default as SDL writes it; None if there is none.  Every schema here was built from SDL.

    graphql-core 3.2 takes a default that is not of its type, and does without; later ones refuse the schema.
    """
    node = place.ast_node.default_value if place.ast_node else None
    ignored = not hasattr(place, "default") and place.default_value is Undefined
    return print_ast(node) if node and not ignored else None


def retyped(kind: str, coordinate: str, severity: Severity, old: Any, new: Any) -> Change:
    message = f"{coordinate} was of type {old} and is of type {new}"
    before, after = get_named_type(old), get_named_type(new)
    return Change(kind, coordinate, severity, message, "", content(before, after) if before.name != after.name else "")


def content(*types: GraphQLNamedType) -> str:
    """What operations see of the types that a change exchanges: these are not compared by themselves."""
    return "\n".join(line for type_ in types for line in _content(type_))


def _content(type_: Any) -> Iterator[str]:
    yield type_.name
    yield from sorted(getattr(type_, "values", ()))
    yield from sorted(each.name for each in getattr(type_, "types", ()))
    for name, item in sorted(getattr(type_, "fields", {}).items()):
        given = default(item) if isinstance(item, GraphQLInputField) else None
        yield f"{name}: {item.type} {given} {sorted(taken(item).items())}"


def taken(field: Any) -> dict[str, tuple[str, str | None]]:
    """The arguments of a field, if it has any: their types and defaults."""
    return {name: (str(place.type), default(place)) for name, place in getattr(field, "args", {}).items()}
