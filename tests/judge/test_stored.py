"""The stored document stands for the original on any schema: valid or invalid alike, and with none of its values."""

from __future__ import annotations

from random import Random

import pytest
from graphql import parse, print_ast, validate

from forebay.agent.extract import Extractor
from forebay.insights.mistakes import BadSchema
from forebay.insights.published import build

from .judge import valid
from .mutations import mutated
from .operations import Writer, parsed

SECRETS = ('"p"', '"q"', "3000000000", '"s"', "-7")


@pytest.mark.parametrize("seed", range(4))
def test_it_is_valid_or_invalid_as_the_original_on_schemas_that_neither_was_written_for(seed: int) -> None:
    """But for a number that is too large for its new type, which only the original shows."""
    rng, broken, fine = Random(seed), 0, 0
    while broken < 40:
        model, schema = valid(rng)
        extractor = Extractor(schema)
        writers = [writer for _ in range(12) if "3000000000" not in (writer := Writer(schema, rng)).source]
        sent = [parsed(writer.source, writer.operation_name) for writer in writers]
        stored = [extractor.operation(print_ast(document)).document for document in sent]
        for _ in range(6):
            changed = mutated(mutated(model, rng.randrange(2**32)), rng.randrange(2**32))
            try:
                other = build(changed.sdl(), "new schema")
            except BadSchema:
                continue
            for document, text in zip(sent, stored, strict=True):
                alike = [bool(validate(other, each, max_errors=1)) for each in (document, parse(text))]
                assert alike[0] is alike[1], (print_ast(document), text, changed.sdl())
                broken, fine = broken + alike[0], fine + (not alike[0])
    assert fine > broken


def test_a_valid_document_is_the_same_where_the_host_has_validated_it() -> None:
    rng, valid_ones = Random(5), 0
    for _ in range(15):
        _, schema = valid(rng)
        extractor = Extractor(schema)
        for _ in range(12):
            writer = Writer(schema, rng)
            name, values = writer.operation_name, writer.variables()
            own, believed = (extractor.operation(writer.source, name, validated=known) for known in (False, True))
            if not own.invalid:
                valid_ones += 1
                assert believed.shape(values) == own.shape(values), writer.source
                assert believed.form(values) == own.form(values), writer.source
    assert valid_ones > 100


def test_no_literal_of_a_random_document_is_stored() -> None:
    rng, stored = Random(9), 0
    for _ in range(20):
        _, schema = valid(rng)
        extractor = Extractor(schema)
        for _ in range(10):
            writer = Writer(schema, rng)
            operation = extractor.operation(writer.source, writer.operation_name)
            text = operation.document + repr(operation.shape(writer.variables()).entries)
            stored += any(secret in writer.source for secret in SECRETS)
            assert not [secret for secret in SECRETS if secret in text], writer.source
    assert stored > 50
