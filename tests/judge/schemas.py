"""Random schemas, as a model that can be changed and printed: what the judge judges by.

Names are few and shared, so that arguments, fields and input fields of the same name meet, and
fields of sibling types have to merge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random

BUILT_IN = ("Int", "Float", "String", "Boolean", "ID")
LOCATIONS = (
    *("QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT", "FRAGMENT_DEFINITION"),
    "VARIABLE_DEFINITION",
)


@dataclass
class Place:
    """An argument or input field; `default` as SDL writes it."""

    type: str
    default: str | None = None
    deprecated: bool = False

    def text(self, name: str) -> str:
        default = f" = {self.default}" if self.default is not None else ""
        return f"{name}: {self.type}{default}{_deprecation(self)}"


Places = dict[str, Place]


@dataclass
class Field:
    type: str
    args: Places = field(default_factory=dict)
    deprecated: bool = False

    def text(self, name: str) -> str:
        return f"{name}{_given(self.args)}: {self.type}{_deprecation(self)}"


@dataclass
class Type:
    """Of any kind; `names` are its interfaces, members or values."""

    kind: str
    fields: dict[str, Field] = field(default_factory=dict)
    inputs: Places = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    one_of: bool = False


@dataclass
class Directive:
    args: Places
    locations: list[str]
    repeatable: bool


@dataclass
class Model:
    types: dict[str, Type]
    directives: dict[str, Directive]
    roots: dict[str, str]

    def of(self, *kinds: str) -> list[str]:
        return [name for name, type_ in self.types.items() if type_.kind in kinds]

    def sdl(self) -> str:
        """The schema's text."""
        roots = " ".join(f"{operation}: {name}" for operation, name in self.roots.items())
        lines = [f"schema {{ {roots} }}"]
        for name, directive in self.directives.items():
            repeatable = " repeatable" if directive.repeatable else ""
            lines.append(f"directive @{name}{_given(directive.args)}{repeatable} on {' | '.join(directive.locations)}")
        return "\n".join([*lines, *(_type(name, type_) for name, type_ in self.types.items())])


def named(type_: str) -> str:
    """The type without its lists and exclamation marks."""
    return re.sub(r"\W", "", type_)


def _deprecation(element: Place | Field) -> str:
    return " @deprecated" if element.deprecated else ""


def _given(args: Places) -> str:
    return f"({', '.join(place.text(name) for name, place in args.items())})" if args else ""


def _type(name: str, type_: Type) -> str:
    match type_.kind:
        case "scalar":
            return f"scalar {name}"
        case "enum":
            return f"enum {name} {{ {' '.join(type_.names)} }}"
        case "union":
            return f"union {name} = {' | '.join(type_.names)}"
        case "input":
            body = "\n".join(f"  {place.text(inner)}" for inner, place in type_.inputs.items())
            return f"input {name}{' @oneOf' if type_.one_of else ''} {{\n{body}\n}}"
    body = "\n".join(f"  {each.text(inner)}" for inner, each in type_.fields.items())
    implements = f" implements {' & '.join(type_.names)}" if type_.names else ""
    return f"{type_.kind} {name}{implements} {{\n{body}\n}}"


class Maker:
    """Makes a random model."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.model = Model({}, {}, {"query": "Query"})

    def make(self) -> Model:
        types = self.model.types
        types["Stamp"], types["Blob"] = Type("scalar"), Type("scalar")
        for number in range(self.rng.randint(1, 3)):
            types[f"E{number}"] = Type("enum", names=self.rng.sample(["RED", "BLUE", "GREEN", "DARK"], 2))
        inputs = [f"I{number}" for number in range(self.rng.randint(2, 4))]
        for name in inputs:  # first named, so that they can refer to each other
            types[name] = Type("input")
        for number, name in reversed([*enumerate(inputs)]):
            self._input(types[name], inputs[number + 1 :])
        interfaces = [f"N{number}" for number in range(self.rng.randint(1, 3))]
        objects = [f"O{number}" for number in range(self.rng.randint(2, 5))]
        for name in interfaces:
            types[name] = Type("interface")
        for name in objects:
            types[name] = Type("type")
        for number in range(self.rng.randint(1, 2)):
            types[f"U{number}"] = Type("union", names=self.rng.sample(objects, self.rng.randint(1, 2)))
        for number, name in enumerate(interfaces):
            above = [each for each in interfaces[:number] if self.rng.random() < 0.3]
            self._composite(types[name], above)
        for name in objects:
            self._composite(types[name], [each for each in interfaces if self.rng.random() < 0.6])
        types["Query"] = Type("type", {name: self.field() for name in self._names(4, 7)})
        self._reach(types["Query"], [*interfaces, *objects, "U0"])
        for operation in ("mutation", "subscription"):
            if self.rng.random() < 0.4:
                root = self.model.roots[operation] = operation.capitalize()
                types[root] = Type("type", {name: self.field() for name in self._names(1, 3)})
        for name in ("mark", "tag")[: self.rng.randint(0, 2)]:
            locations = self.rng.sample(LOCATIONS, self.rng.randint(2, 5))
            self.model.directives[name] = Directive(self.args(), locations, self.rng.random() < 0.4)
        if self.rng.random() < 0.4:
            self._incremental()
        return self.model

    def field(self) -> Field:
        composite = self.model.of("type", "interface", "union")
        leaf = [*BUILT_IN, *self.model.of("enum", "scalar")]
        named_type = self.rng.choice(composite if composite and self.rng.random() < 0.4 else leaf)
        return Field(self.wrapped(named_type), self.args(), self.rng.random() < 0.05)

    def args(self) -> Places:
        return {name: self.place() for name in self._names(0, 2)} if self.rng.random() < 0.5 else {}

    def place(self) -> Place:
        """An argument or input field."""
        leaf = [*BUILT_IN, *self.model.of("enum", "scalar")]
        type_ = self.wrapped(self.rng.choice([*leaf, *self.model.of("input") * 2]))
        place = Place(type_)
        if self.rng.random() < 0.35:
            place.default = self.literal(type_, 2)
        return place

    def wrapped(self, name: str) -> str:
        return self.rng.choice(
            ["{}", "{}", "{}", "{}!", "{}!", "[{}]", "[{}!]", "[{}!]!", "[[{}]]", "[[{}!]!]"]
        ).format(name)

    def literal(self, type_: str, depth: int) -> str | None:
        """A default for a place of this type, None where none ends soon enough."""
        if not type_.endswith("!") and self.rng.random() < 0.15:
            return "null"
        type_ = type_.removesuffix("!")
        if type_.startswith("["):
            inner = type_[1:-1]
            items = [self.literal(inner, depth) for _ in range(self.rng.randint(0, 2))]
            return f"[{', '.join(item for item in items if item is not None)}]"
        known = self.model.types.get(type_)
        if known is None or known.kind == "scalar":
            return {"Int": "3", "Float": "1.5", "Boolean": "true"}.get(type_, '"x"')
        if known.kind == "enum":
            return self.rng.choice(known.names)
        if depth == 0 or not known.inputs:
            return None
        given = {}
        names = [self.rng.choice([*known.inputs])] if known.one_of else [*known.inputs]
        for name in names:
            place = known.inputs[name]
            if known.one_of or (place.type.endswith("!") and place.default is None) or self.rng.random() < 0.3:
                given[name] = self.literal(f"{place.type.removesuffix('!')}!", depth - 1)
        if None in given.values():
            return None
        return "{" + ", ".join(f"{name}: {text}" for name, text in given.items()) + "}"

    def _input(self, type_: Type, later: list[str]) -> None:
        """`later`: input types that are made already; only those may stand in defaults, so that none has itself."""
        type_.one_of = self.rng.random() < 0.15
        for name in self._names(2, 4):
            place = self.place()
            earlier = named(place.type) in self.model.of("input") and named(place.type) not in later
            if earlier or type_.one_of:
                place.type, place.default = place.type.rstrip("!"), None
            type_.inputs[name] = place

    def _incremental(self) -> None:
        given = {"if": Place("Boolean!", "true"), "label": Place("String")}
        on_fragments = ["FRAGMENT_SPREAD", "INLINE_FRAGMENT"]
        self.model.directives["defer"] = Directive(given, on_fragments, False)
        self.model.directives["stream"] = Directive({**given, "initialCount": Place("Int", "0")}, ["FIELD"], False)

    def _composite(self, type_: Type, above: list[str]) -> None:
        for name in above:
            type_.names += [each for each in (name, *self.model.types[name].names) if each not in type_.names]
        type_.fields = {name: self.field() for name in self._names(1, 4)}
        for name in type_.names:
            for inner, each in self.model.types[name].fields.items():
                narrower = f"{each.type}!" if not each.type.endswith("!") and self.rng.random() < 0.2 else each.type
                heirs = [heir for heir, known in self.model.types.items() if named(each.type) in known.names]
                if heirs and self.model.types[named(each.type)].kind != "type" and self.rng.random() < 0.3:
                    narrower = narrower.replace(named(each.type), self.rng.choice(heirs))
                more = {} if self.rng.random() < 0.8 else {"own": Place("Int")}
                type_.fields[inner] = Field(narrower, {**each.args, **more})

    def _reach(self, query: Type, names: list[str]) -> None:
        for number, name in enumerate(names):
            query.fields[f"to{number}"] = Field(self.wrapped(name), self.args())

    def _names(self, least: int, most: int) -> list[str]:
        return self.rng.sample(["a", "b", "c", "d", "e", "f", "size"], self.rng.randint(least, most))
