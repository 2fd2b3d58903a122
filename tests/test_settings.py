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


def test_what_the_environment_does_not_say_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "forebay.toml"
    file.write_text('[kafka]\nbrokers = "a:9092"\npartitions = 12\n[loader]\nlinger = 0.25\n')
    environment = {"FOREBAY_SETTINGS": str(file), "FOREBAY_KAFKA_PARTITIONS": "3"}
    kafka = settings.read(settings.KafkaSettings, environment)
    assert (kafka.brokers, kafka.partitions) == ("a:9092", 3)
    assert settings.read(settings.LoaderSettings, environment).linger == 0.25


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[kafka]\nbroker = 1\n", r"\[kafka\] broker is no setting"),
        ("linger = 1\n", r"\[linger\]  is no setting"),
        ("no toml", "cannot be read"),
    ],
)
def test_a_file_that_is_no_settings_is_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "forebay.toml"
    file.write_text(text)
    with pytest.raises(Stop, match=complaint):
        settings.read(settings.KafkaSettings, {"FOREBAY_SETTINGS": str(file)})
