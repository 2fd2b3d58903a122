"""Settings are declared once; the documentation says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from forebay import settings
from forebay.errors import Stop

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_documentation_lists_every_setting_as_it_is_declared() -> None:
    assert settings.table() in DOCS.read_text()


def test_a_setting_is_read_from_its_variable_and_else_has_its_default() -> None:
    read = settings.read(settings.LoaderSettings, {"FOREBAY_LOADER_LINGER": "2.5"})
    assert (read.linger, read.batch_mib) == (2.5, settings.LoaderSettings().batch_mib)


@pytest.mark.parametrize("value", ["many", "", "0", "-1", "1.5"])
def test_a_value_that_does_not_fit_is_one_clear_line(value: str) -> None:
    with pytest.raises(Stop, match="FOREBAY_COLLECTOR_ENTRIES"):
        settings.read(settings.CollectorSettings, {"FOREBAY_COLLECTOR_ENTRIES": value})


def test_a_text_is_taken_as_it_is_and_a_choice_must_be_one_of_them() -> None:
    given = {"FOREBAY_KAFKA_BROKERS": "a:9092,b:9092", "FOREBAY_KAFKA_PROTOCOL": "classic"}
    read = settings.read(settings.KafkaSettings, given)
    assert (read.brokers, read.protocol) == ("a:9092,b:9092", "classic")
    with pytest.raises(Stop, match="none of auto, consumer, classic"):
        settings.read(settings.KafkaSettings, {"FOREBAY_KAFKA_PROTOCOL": "newest"})


def test_zero_is_taken_only_where_it_is_the_default() -> None:
    assert settings.read(settings.KafkaSettings, {"FOREBAY_KAFKA_RETENTION_GIB": "0"}).retention_gib == 0
    with pytest.raises(Stop, match="RETENTION_GIB must be more than 0"):
        settings.read(settings.KafkaSettings, {"FOREBAY_KAFKA_RETENTION_GIB": "-1"})
