"""The variables of the earlier service, and the table of docs about them. The environment is real, and put back."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gata_assets.errors import SettingsError
from gata_assets.settings.ingestion.earlier_names import ALIASES, REFUSED, REFUSED_IN_FILES
from gata_assets.settings.model import load_settings, parse_settings, variable_names
from gata_assets_tests.docs.pages import DOCS

# All that its documentation has.
VARIABLES = (
    *("SERVICE_NAME", "VERSION", "LOG_LEVEL", "DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"),
    *("KAFKA_TOPIC_INTERACTIONS", "KAFKA_TOPIC_ITEMS", "KAFKA_TOPIC_FEATURES", "KAFKA_TOPIC_TRAINING"),
    *("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"),
    *("S3_BUCKET_RAW", "S3_BUCKET_PROCESSED", "S3_BUCKET_TRAINING", "S3_BUCKET_FEATURES"),
    *("NEGATIVE_SAMPLING_RATIO", "MAX_INTERACTIONS_PER_USER"),
    *("MIN_INTERACTIONS_PER_USER", "MIN_INTERACTIONS_PER_ITEM"),
)


def meaning_of(variable: str) -> str:
    """What the table of the page is to say of a variable."""
    if variable in ALIASES:
        return f"sets `{ALIASES[variable]}`, unless that is set"
    if variable in REFUSED:
        return f"refused: {REFUSED[variable]}"
    if variable in REFUSED_IN_FILES:
        return f"refused in a settings file, ignored in the environment: {REFUSED_IN_FILES[variable]}"
    assert variable in variable_names(), f"{variable} is neither a setting nor refused"
    return "the same"


def test_the_page_says_of_each_variable_what_becomes_of_it() -> None:
    text = (DOCS / "ingestion-kafka.md").read_text()
    table = text.partition("## The variables of the earlier service")[2].partition("\n## ")[0]
    found = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*) \|$", table, flags=re.MULTILINE))
    assert found == {variable: meaning_of(variable) for variable in VARIABLES}


@pytest.fixture
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable of ours is set, and the working directory is empty."""
    for name in (*variable_names(), *ALIASES, *ALIASES.values(), "GATA_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_of_s3_set_those_of_the_sdk_unless_they_are_set(
    empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_directory / "local.env").write_text("S3_ENDPOINT=http://minio:9000\nS3_ACCESS_KEY=a\nS3_SECRET_KEY=b\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "own")
    load_settings()
    found = [os.environ[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    assert found == ["http://minio:9000", "own", "b"]


@pytest.mark.parametrize("variable", REFUSED)
def test_a_refused_variable_is_named_with_its_reason(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} is no setting here: one target has"):
        parse_settings({variable: "raw-data"})


@pytest.mark.parametrize("variable", REFUSED_IN_FILES)
def test_a_name_that_others_use_is_refused_in_a_file_alone(
    variable: str, empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1.2.3")
    load_settings()
    (empty_directory / "local.env").write_text(f"{variable}=1.2.3\n")
    with pytest.raises(SettingsError, match=f"{variable} is no setting here"):
        load_settings()
