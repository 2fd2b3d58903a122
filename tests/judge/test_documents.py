"""Where the judge of documents spares itself work, it finds what all of validation finds."""

from __future__ import annotations

from random import Random

import pytest
from graphql import parse, validate

from forebay.insights.documents import Documents
from forebay.insights.evidence import Evidence
from forebay.insights.gone import Gone
from forebay.insights.mistakes import BadSchema
from forebay.insights.published import build
from forebay.insights.type_changes import field_at

from .judge import valid, working
from .mutations import mutated


@pytest.mark.parametrize("seed", range(2))
def test_a_document_is_broken_by_what_it_breaks_and_a_field_that_is_gone_breaks_it(seed: int) -> None:
    rng, broken, gone = Random(seed), 0, 0
    for _ in range(12):
        model, old = valid(rng)
        shapes = [each.shape for each in working(old, old, rng)]
        for _ in range(6):
            changed = mutated(mutated(model, rng.randrange(2**32)), rng.randrange(2**32))
            try:
                new = build(changed.sdl(), "new schema")
            except BadSchema:
                continue
            documents = Documents(old, new)
            documents.read(shape.document for shape in shapes)
            for shape in shapes:
                judged = documents.judge(shape.document)
                assert judged is not None, shape.document
                errors = [error.message for error in validate(new, parse(shape.document))]
                assert bool(judged.broken) == bool(errors), (shape.document, changed.sdl())
                evidence = Evidence(shape)
                lacks = Gone(old, new).selected(evidence)
                # What is gone below another that is gone, validation does not look for.
                owners = [each.partition(".")[::2] for each in evidence.fields if field_at(new, each) is None]
                says = tuple(f"Cannot query field '{name}' on type '{type_}'." for type_, name in owners)
                says += tuple(f"Unknown type '{type_}'." for type_, _ in owners)
                assert not lacks or any(error.startswith(says) for error in errors), (
                    lacks,
                    errors,
                    shape.document,
                    shape.entries,
                    changed.sdl(),
                )
                broken, gone = broken + bool(errors), gone + bool(lacks)
    assert broken > gone > 0
