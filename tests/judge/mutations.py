"""Random changes of a schema's model, as people make them: one at a time, the schema consistent again after each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random

from .schemas import BUILT_IN, LOCATIONS, Directive, Field, Maker, Model, Place, Places, Type, named

Change = Callable[["Mutator"], object]


def mutated(model: Model, seed: int) -> Model:
    """A copy of the model with one change, chosen by the seed.  The copy may be no valid schema."""
    rng = Random(seed)
    mutator = Mutator(copy.deepcopy(model), rng)
    rng.choice(_WEIGHTED)(mutator)
    mutator.repair()
    return mutator.model


class Mutator:
    def __init__(self, model: Model, rng: Random) -> None:
        self.model, self.rng = model, rng
        self.maker = Maker(rng)
        self.maker.model = model

    def repair(self) -> None:
        """Take away what refers to something that is gone."""
        types = self.model.types

        def exists(place: Place | Field) -> bool:
            return named(place.type) in types or named(place.type) in BUILT_IN

        for type_ in types.values():
            type_.fields = {name: each for name, each in type_.fields.items() if exists(each)}
            type_.inputs = {name: each for name, each in type_.inputs.items() if exists(each)}
            for each in type_.fields.values():
                each.args = {name: place for name, place in each.args.items() if exists(place)}
            if type_.kind in ("type", "interface", "union"):
                kind = "type" if type_.kind == "union" else "interface"
                type_.names = [name for name in type_.names if name in types and types[name].kind == kind]
        for directive in self.model.directives.values():
            directive.args = {name: place for name, place in directive.args.items() if exists(place)}
        self.model.roots = {operation: name for operation, name in self.model.roots.items() if name in types}

    def composite(self) -> str:
        return self.rng.choice(self.model.of("type", "interface"))

    def owner(self) -> tuple[Type, str, list[Field]] | None:
        """A field, and all fields that have to change with it."""
        name = self.composite()
        type_ = self.model.types[name]
        if not type_.fields:
            return None
        inner = self.rng.choice([*type_.fields])
        family = [type_.fields[inner]]
        if self.rng.random() < 0.8:
            related = {name, *type_.names}
            related |= {n for n, t in self.model.types.items() if t.kind != "union" and related & set(t.names)}
            for _ in range(3):
                for each in [*related]:
                    related |= {n for n in self.model.types[each].names if n in self.model.types}
                related |= {n for n, t in self.model.types.items() if t.kind != "union" and related & set(t.names)}
            family = [
                self.model.types[each].fields[inner]
                for each in sorted(related)
                if each in self.model.types and inner in self.model.types[each].fields
            ]
        return type_, inner, family

    def places(self) -> Places | None:
        """Arguments of a field or directive, or the fields of an input object."""
        found: list[Places] = [self.model.types[name].inputs for name in self.model.of("input")] * 2
        for name in self.model.of("type", "interface"):
            found += [each.args for each in self.model.types[name].fields.values() if each.args]
        found += [each.args for each in self.model.directives.values() if each.args]
        fitting = [each for each in found if each]
        return self.rng.choice(fitting) if fitting else None

    def retyped(self, type_: str) -> str:
        """Another type in the place of this one: other nullability, other lists, or another name."""
        inner = named(type_)
        same = [type_.removesuffix("!") if type_.endswith("!") else f"{type_}!"] * 4
        lists = [f"[{type_}]", type_.strip("[]!"), type_.replace(inner, f"{inner}!", 1).replace("!!", "!")]
        kind = self.model.types[inner].kind if inner in self.model.types else ""
        alike, any_ = self.model.of(kind) if kind else BUILT_IN, [*BUILT_IN, *self.model.types]
        others = [type_.replace(inner, self.rng.choice(each)) for each in (alike, any_)]
        return self.rng.choice([*same, *lists, *others])


def _remove_field(mutator: Mutator) -> None:
    name, rng = mutator.composite(), mutator.rng
    fields = mutator.model.types[name].fields
    if len(fields) < 2:
        return
    inner = rng.choice([*fields])
    owners = [name]
    if rng.random() < 0.5:
        owners += [each for each, type_ in mutator.model.types.items() if name in type_.names]
    for each in owners:
        mutator.model.types[each].fields.pop(inner, None)


def _add_field(mutator: Mutator) -> None:
    mutator.model.types[mutator.composite()].fields["added"] = mutator.maker.field()


def _retype_field(mutator: Mutator) -> None:
    if found := mutator.owner():
        _, _, family = found
        type_ = mutator.retyped(family[0].type)
        for each in family:
            each.type = type_


def _narrow_field(mutator: Mutator) -> None:
    """Of one type only: the others of its family stay wider, and fields may no longer merge."""
    if found := mutator.owner():
        each = found[2][0]
        each.type = each.type.removesuffix("!") if each.type.endswith("!") else f"{each.type}!"


def _add_argument(mutator: Mutator) -> None:
    if found := mutator.owner():
        place = mutator.maker.place()
        for each in found[2]:
            each.args["added"] = copy.copy(place)


def _remove_argument(mutator: Mutator) -> None:
    found = mutator.owner()
    if found and (args := found[2][0].args):
        name = mutator.rng.choice([*args])
        for each in found[2]:
            each.args.pop(name, None)


def _change_argument(mutator: Mutator) -> None:
    found = mutator.owner()
    if found and (args := found[2][0].args):
        name = mutator.rng.choice([*args])
        place = _changed(mutator, args[name])
        for each in found[2]:
            if name in each.args:
                each.args[name] = copy.copy(place)


def _changed(mutator: Mutator, place: Place) -> Place:
    place = copy.copy(place)
    match mutator.rng.randrange(4):
        case 0:
            place.default = None
        case 1:
            place.default = mutator.maker.literal(place.type, 2)
        case 2:
            place.type = mutator.retyped(place.type)
        case _:
            place.type = mutator.retyped(place.type)
            place.default = mutator.maker.literal(place.type, 2) if mutator.rng.random() < 0.5 else None
    return place


def _change_place(mutator: Mutator) -> None:
    if places := mutator.places():
        name = mutator.rng.choice([*places])
        places[name] = _changed(mutator, places[name])


def _remove_place(mutator: Mutator) -> None:
    if places := mutator.places():
        del places[mutator.rng.choice([*places])]


def _add_place(mutator: Mutator) -> None:
    places = mutator.places()
    if places is not None:
        places["added"] = mutator.maker.place()


def _one_of(mutator: Mutator) -> None:
    type_ = mutator.model.types[mutator.rng.choice(mutator.model.of("input"))]
    type_.one_of = not type_.one_of
    if type_.one_of and mutator.rng.random() < 0.7:
        for place in type_.inputs.values():
            place.type, place.default = place.type.removesuffix("!"), None


def _enum(mutator: Mutator) -> None:
    if enums := mutator.model.of("enum"):
        names = mutator.model.types[mutator.rng.choice(enums)].names
        if len(names) > 1 and mutator.rng.random() < 0.7:
            names.remove(mutator.rng.choice(names))
        else:
            names.append("ADDED")


def _union(mutator: Mutator) -> None:
    if unions := mutator.model.of("union"):
        names = mutator.model.types[mutator.rng.choice(unions)].names
        if len(names) > 1 and mutator.rng.random() < 0.7:
            names.remove(mutator.rng.choice(names))
        else:
            names += [name for name in mutator.model.of("type") if name not in names][:1]


def _interface(mutator: Mutator) -> None:
    type_ = mutator.model.types[mutator.composite()]
    if type_.names and mutator.rng.random() < 0.7:
        type_.names.remove(mutator.rng.choice(type_.names))
        return
    name = mutator.rng.choice(mutator.model.of("interface") or ["none"])
    if name in mutator.model.types and name not in type_.names and type_ is not mutator.model.types[name]:
        above = mutator.model.types[name]
        type_.names += [name, *(each for each in above.names if each not in type_.names)]
        for each in type_.names:
            type_.fields |= copy.deepcopy(mutator.model.types[each].fields)


def _remove_type(mutator: Mutator) -> None:
    types = mutator.model.types
    del types[mutator.rng.choice([name for name in types if name != "Query"])]


def _rename_type(mutator: Mutator) -> None:
    model = mutator.model
    name = mutator.rng.choice([*model.types])
    model.types = {("Renamed" if each == name else each): type_ for each, type_ in model.types.items()}
    model.roots = {operation: "Renamed" if root == name else root for operation, root in model.roots.items()}
    places: list[Place | Field] = [place for each in model.directives.values() for place in each.args.values()]
    for type_ in model.types.values():
        if type_.kind != "enum":
            type_.names = ["Renamed" if each == name else each for each in type_.names]
        places += type_.inputs.values()
        for each in type_.fields.values():
            places += [each, *each.args.values()]
    for place in places:
        if named(place.type) == name:
            place.type = place.type.replace(name, "Renamed")


def _change_kind(mutator: Mutator) -> None:
    types = mutator.model.types
    name = mutator.rng.choice([each for each in types if each not in mutator.model.roots.values()])
    type_ = types[name]
    match type_.kind:
        case "enum":
            types[name] = Type("scalar")
        case "scalar":
            types[name] = Type("enum", names=["RED", "BLUE"])
        case "input":
            types[name] = mutator.rng.choice([Type("scalar"), Type("enum", names=["RED", "BLUE"])])
        case "interface":
            heirs = [each for each in mutator.model.of("type") if name in types[each].names]
            types[name] = Type("union", names=heirs) if mutator.rng.random() < 0.5 else Type("type", type_.fields)
        case "union":
            types[name] = mutator.rng.choice([Type("interface", {"a": Field("Int")}), Type("scalar")])
        case "type":
            types["Heir"] = Type("type", copy.deepcopy(type_.fields), names=[name, *type_.names])
            types[name] = Type("interface", type_.fields, names=type_.names)


def _add_type(mutator: Mutator) -> None:
    interfaces = mutator.model.of("interface")
    if interfaces:
        name = mutator.rng.choice(interfaces)
        above = mutator.model.types[name]
        mutator.model.types["Added"] = Type("type", copy.deepcopy(above.fields), names=[name, *above.names])


def _directive(mutator: Mutator) -> None:
    directives, rng = mutator.model.directives, mutator.rng
    if not directives:
        directives["mark"] = Directive({}, ["FIELD"], False)
        return
    name = rng.choice([*directives])
    directive = directives[name]
    match rng.randrange(4):
        case 0:
            del directives[name]
        case 1 if len(directive.locations) > 1:
            directive.locations.remove(rng.choice(directive.locations))
        case 2:
            directive.repeatable = not directive.repeatable
        case _:
            directive.locations = list(dict.fromkeys([*directive.locations, rng.choice(LOCATIONS)]))


def _root(mutator: Mutator) -> None:
    model = mutator.model
    others = [operation for operation in model.roots if operation != "query"]
    if others and mutator.rng.random() < 0.6:
        del model.roots[mutator.rng.choice(others)]
        return
    model.types["Root"] = copy.deepcopy(model.types[model.roots["query"]])
    if mutator.rng.random() < 0.3:
        model.types["Root"].fields.pop(next(iter(model.types["Root"].fields)))
    model.roots["query"] = "Root"


def _deprecate(mutator: Mutator) -> None:
    found, places = mutator.owner(), mutator.places()
    elements: list[Field | Place] = [*(found[2] if found else ()), *(places or {}).values()]
    if elements:
        each = mutator.rng.choice(elements)
        each.deprecated = not each.deprecated


_WEIGHTED: tuple[Change, ...] = (
    *(_remove_field, _retype_field, _change_argument, _change_place) * 3,
    *(_narrow_field, _add_argument, _remove_argument, _remove_place, _add_place, _enum, _directive) * 2,
    *(_add_field, _one_of, _union, _interface, _remove_type, _rename_type, _change_kind, _add_type, _root),
    _deprecate,
)
