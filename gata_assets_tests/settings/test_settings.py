"""Settings: variables in, validated values out. The environment is real where it is read, and put back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from gata_assets.errors import SettingsError
from gata_assets.settings.model import describe_settings, load_settings, parse_settings, variable_names
from gata_assets.settings.values import SourceKind
from gata_assets_tests.conftest import same_variables
from gata_assets_tests.support.canaries import canary

SECRET = canary("a password")

CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:gata"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gata"
EXAMPLE_ENV = Path(__file__).parents[2] / "example.env"


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable of ours is set, and the working directory is empty."""
    for name in (*variable_names(), "GATA_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = parse_settings({})
    assert (
        settings.tickets.training_period,
        settings.tickets.low_volume_period,
        settings.tickets.low_volume_threshold,
    ) == (90, 365, 0.033)
    assert (settings.target.region, settings.project.log_level) == ("us-east-1", "INFO")
    assert (settings.tickets.low_volume_min_count, settings.tickets.split_seed) == (10, 42)
    assert settings.tickets.source_kind is SourceKind.SAMPLE


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("TRAINING_PERIOD", "ninety", "'ninety' is not a whole number"),
        ("TRAINING_PERIOD", "0", "'0' should be greater than or equal to 1"),
        ("LOW_VOLUME_THRESHOLD", "3.3", "'3.3' should be less than 1"),
        ("LOW_VOLUME_THRESHOLD", "nan", "'nan' is not a finite number"),
        ("LOW_VOLUME_FALLBACK_LABEL", "-1", "'-1' should be greater than or equal to 0"),
        ("LOW_VOLUME_FALLBACK_LABEL", "1.5", "'1.5' is not a whole number"),
        ("LOW_VOLUME_FALLBACK_LABEL", "9223372036854775808", "'9223372036854775808' should be less than 2^63"),
        ("TEST_SHARE", "0.6", "'0.6' should be less than or equal to 0.5"),
        ("TEST_SHARE", "0", "'0' should be greater than or equal to 0.01"),
        ("LOW_VOLUME_POLICY", "drop", "'drop' should be 'documented' or 'router'"),
        ("SPLIT_METHOD", "random", "'random' should be 'by-text' or 'sklearn'"),
        ("LOG_LEVEL", "LOUD", "'LOUD' should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("TARGET_BUCKET", "s3://data", "'s3://data' must be a bucket's name alone"),
        ("TARGET_BUCKET", "My data", "'My data' is not a bucket's name"),
        ("DB_ARN", "gata", "'gata' is not an ARN"),
        ("PREVIEW_ROWS", "-1", "'-1' should be greater than or equal to 0"),
        ("PREVIEW_ROWS", "101", "'101' should be less than or equal to 100"),
        ("FIRST_BATCH_ID", "2024", "'2024' is not a batch ID"),
        ("MIN_NEW_TICKETS", "0", "'0' should be greater than or equal to 1"),
        ("SENSOR_INTERVAL_MINUTES", "hourly", "'hourly' is not a number"),
        ("RECENT_BATCH_DAYS", "90", "'90' should be less than or equal to 31"),
        ("OVERDUE_AFTER_HOURS", "inf", "'inf' is not a finite number"),
        ("ALERT_TOPIC_ARN", "gata-alerts", "'gata-alerts' is not the ARN of a standard SNS topic"),
        (
            "ALERT_TOPIC_ARN",
            "arn:aws:sns:us-east-1:123456789012:gata.fifo",
            "'arn:aws:sns:us-east-1:123456789012:gata.fifo' is not the ARN",
        ),
        (
            "TENANTS",
            "acme,none",
            "'acme,none' must be names of 1 to 63 of a-z 0-9 _, other than governance, ingestion, intermediate, none, ",
        ),
        ("TABLE_SPECS", "my tables", "'my tables' must be names of Python modules"),
        ("PREPARE_SCHEDULE", "weekly", "'weekly' is not a schedule: five fields are needed"),
        (
            "PREPARE_SCHEDULE",
            "60 3 * * 1",
            "'60 3 * * 1' is not a schedule: its minute is to be *, a number from 0 to 59",
        ),
        (
            "PREPARE_SCHEDULE",
            "0 24 * * 1",
            "'0 24 * * 1' is not a schedule: its hour is to be *, a number from 0 to 23",
        ),
        ("PREPARE_SCHEDULE", "0 3 * * 5-1", "'0 3 * * 5-1' is not a schedule: its day of the week is to be"),
        ("PREPARE_SCHEDULE", "0 3 * * mo", "'0 3 * * mo' is not a schedule: its day of the week is to be"),
        ("PREPARE_SCHEDULE", "0 */0 * * *", "'0 */0 * * *' is not a schedule: its hour is to be"),
        ("PREPARE_SCHEDULE", "*/15 * * * *", "'*/15 * * * *' may come several times an hour"),
    ],
)
def test_a_wrong_value_names_variable_fault_and_example(variable: str, value: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({variable: value})
    message = str(caught.value)
    assert f"{variable}: {fault}" in message
    assert f"Example: {variable}=" in message


@pytest.mark.parametrize("cron", ["0 3 * * 1", "0 */6 * * *", "30 1,13 1-7/2 jan-mar MON-FRI", "5 0 1 12 7"])
def test_a_schedule_is_any_cron_expression_of_one_minute(cron: str) -> None:
    assert parse_settings({"PREPARE_SCHEDULE": f"  {cron} "}).automation.prepare_schedule == cron.lower()


def test_a_wrong_url_is_refused_without_showing_its_password() -> None:
    with pytest.raises(SettingsError, match="TICKETS_URL: is neither sqlite") as caught:
        parse_settings({"TICKETS_URL": f"mysql://reader:{SECRET}@db/gata"})
    assert SECRET not in str(caught.value)
    settings = parse_settings(
        {"TICKETS_URL": f"postgresql://reader:{SECRET}@db/gata", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    )
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h1:5432,h2:5432/db",
        "postgresql://u:p@h1,h2/db?target_session_attrs=read-write",
        "postgres://u@[2001:db8::1]:5432/db",
        "postgresql://u@[2001:db8::1],h2/db",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://u:p[#x@h/db",
        "postgresql://u:p%40x@h/db?sslmode=require&options=-csearch_path%3Dhelpdesk",
        "postgresql://",
        "postgresql://h:/db",
    ],
)
def test_every_url_that_libpq_takes_is_taken(url: str) -> None:
    conninfo_to_dict(url)
    assert parse_settings({"TICKETS_URL": url, "LOW_VOLUME_FALLBACK_LABEL": "1"}).tickets.url


@pytest.mark.parametrize("password", [f"{SECRET}@x", f"{SECRET}/x", f"{SECRET}:9x@x"])
def test_a_password_that_is_not_percent_encoded_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(SettingsError, match="are to be written as %40") as caught:
        parse_settings(
            {"TICKETS_URL": f"postgresql://u:{password}@127.0.0.1:5432/gata", "LOW_VOLUME_FALLBACK_LABEL": "1"}
        )
    assert SECRET not in str(caught.value)


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"TRAINING_PERIOD": "x", "SPLIT_SEED": "y", "MAX_HOURS_AHEAD": "z"})
    assert "TRAINING_PERIOD" in str(caught.value)
    assert "SPLIT_SEED" in str(caught.value)
    assert "MAX_HOURS_AHEAD" in str(caught.value), "of another group"


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"LOW_VOLUME_PERIOD": "30"}, r"LOW_VOLUME_PERIOD \(30\) is shorter than TRAINING_PERIOD \(90\)"),
        ({"DB_ARN": CLUSTER}, "DB_SECRET_ARN is missing: it goes with DB_ARN"),
        ({"DB_SECRET_ARN": SECRET}, "DB_ARN is missing: it goes with DB_SECRET_ARN"),
        ({"DB_ARN": CLUSTER, "DB_SECRET_ARN": SECRET}, "LOW_VOLUME_FALLBACK_LABEL is missing"),
        ({"TICKETS_URL": "sqlite:///tickets.sqlite"}, "LOW_VOLUME_FALLBACK_LABEL is missing"),
        (
            {"DB_ARN": CLUSTER, "DB_SECRET_ARN": SECRET, "TICKETS_URL": "sqlite:///x"},
            "TICKETS_URL and DB_ARN are both set",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        parse_settings(values)


def test_an_empty_value_counts_as_unset() -> None:
    assert parse_settings({"TRAINING_PERIOD": " ", "TARGET_BUCKET": ""}).tickets.training_period == 90


def test_the_file_is_read_below_the_environment(empty_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_environment / "local.env").write_text("TRAINING_PERIOD=30\nSPLIT_SEED=7\nAWS_PROFILE=x\n")
    monkeypatch.setenv("SPLIT_SEED", "8")
    monkeypatch.setenv("TRAINING_PERIOD", "")
    monkeypatch.setenv("AWS_PROFILE", "")
    settings = load_settings()
    assert (settings.tickets.training_period, settings.tickets.split_seed) == (30, 8)
    assert (os.environ["AWS_PROFILE"], os.environ["AWS_DEFAULT_REGION"]) == ("x", "us-east-1")


def test_a_misspelt_variable_in_the_file_is_refused_with_the_right_one(empty_environment: Path) -> None:
    path = empty_environment / "my.env"
    path.write_text("TRAINING_PERIODS=30\n")
    with pytest.raises(SettingsError, match=r"TRAINING_PERIODS is not a setting; did you mean TRAINING_PERIOD\?"):
        load_settings(path)


@pytest.mark.parametrize("line", ["TRAINING_PERIOD: 30", "TRAINING_PERIOD", "TRAINING PERIOD=30"])
def test_a_line_that_is_no_variable_is_refused_by_its_number(line: str, empty_environment: Path) -> None:
    path = empty_environment / "my.env"
    path.write_text(f"# a comment\n\nSPLIT_SEED=7\n{line}\n")
    with pytest.raises(SettingsError, match=r"my\.env, line 4: this is not NAME=value"):
        load_settings(path)


def test_a_file_that_is_not_text_is_refused(empty_environment: Path) -> None:
    path = empty_environment / "my.env"
    path.write_bytes("# Zürich\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"my\.env is not UTF-8 text"):
        load_settings(path)


def test_a_file_that_was_named_must_exist(empty_environment: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no settings file nowhere\.env"):
        load_settings(Path("nowhere.env"))


def test_example_env_documents_every_setting_with_its_default() -> None:
    shown = {}
    for line in EXAMPLE_ENV.read_text().splitlines():
        name, separator, value = line.removeprefix("#").partition("=")
        if separator and name.isupper() and " " not in name:
            shown[name] = value
    for one in describe_settings():
        assert one.variable in shown
        if one.default is not None:
            assert shown[one.variable] == one.default, one.variable


def test_every_setting_is_listed_with_its_group_meaning_and_example() -> None:
    listed = {one.variable: one for one in describe_settings()}
    assert tuple(listed) == variable_names()
    assert len(listed) == len(describe_settings()), "a variable belongs to one group"
    assert all(one.group and one.description.endswith(".") and one.example for one in listed.values())
    assert listed["INTERACTION_PERIOD"].default == "90"
    assert listed["POSITIVE_INTERACTION_TYPES"].default == "click,purchase,like"
    assert listed["SPLIT_METHOD"].default == "by-text"
    assert listed["EARLIEST_INTERACTION"].default == "2020-01-01"
    assert listed["TARGET_BUCKET"].default is None
    assert [one.variable for one in listed.values() if one.is_secret] == [
        "TICKETS_URL",
        "MASKING_KEY",
        "CONFIG_JSON",
        "LAKE_MASKING_KEY",
        "REDIS_URL",
        "SCHEMA_REGISTRY_URL",
        "SCHEMA_REGISTRY_PASSWORD",
        "KAFKA_SASL_PASSWORD",
        "PRIVACY_KEYS",
    ]


def test_every_example_of_a_setting_is_accepted() -> None:
    needed = {"LOW_VOLUME_FALLBACK_LABEL": "1", "DB_ARN": CLUSTER, "DB_SECRET_ARN": SECRET}
    needed |= {"SHOP_CURATED_BUCKET": "shop-curated", "SHOP_PROD_BUCKET": "shop-prod"}
    needed |= {"SCHEMA_REGISTRY_USER": "gata", "SCHEMA_REGISTRY_PASSWORD": "a-password"}
    login = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "PLAIN"}
    login |= {"KAFKA_SASL_USERNAME": "gata", "KAFKA_SASL_PASSWORD": "a-password"}
    for one in describe_settings():
        without = () if one.variable.startswith("DB_") else ("DB_ARN", "DB_SECRET_ARN")
        beside = {name: value for name, value in needed.items() if name not in without}
        beside |= login if one.variable.startswith(("KAFKA_SASL_", "KAFKA_SSL_")) else {}
        parse_settings({**beside, one.variable: one.example})


def test_a_variable_is_read_into_the_group_of_its_domain() -> None:
    values = {"TARGET_BUCKET": "my-data", "TENANTS": "acme", "SPLIT_SEED": "7", "ASSET_OWNERS": "team:a,b@c.de"}
    settings = parse_settings({**values, "MIN_NEW_TICKETS": "3", "SOMETHING_ELSE": "x"})
    assert (settings.target.bucket, settings.interactions.tenants) == ("my-data", ("acme",))
    assert (settings.tickets.rules.split_seed, settings.arrival_rules.min_new_tickets) == (7, 3)
    assert settings.project.asset_owners == ("team:a", "b@c.de")


def test_a_query_is_one_select_statement_without_what_comes_after_it() -> None:
    given = {"TICKETS_URL": "sqlite:///t.sqlite", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    settings = parse_settings({**given, "TICKETS_QUERY": "SELECT 1 AS id; -- all of them"})
    assert settings.tickets.query == "SELECT 1 AS id"
    with pytest.raises(SettingsError, match=r"TICKETS_QUERY: 'DROP TABLE ticket' must be one SELECT statement"):
        parse_settings({**given, "TICKETS_QUERY": "DROP TABLE ticket"})


def test_what_a_test_sets_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SHARE", "0.2")
    monkeypatch.setenv("TENANTS", "acme")
    with same_variables():
        os.environ["TICKETS_QUERY"] = "SELECT 1"
        os.environ["TEST_SHARE"] = "0.5"
        del os.environ["TENANTS"]
    assert "TICKETS_QUERY" not in os.environ
    assert (os.environ["TEST_SHARE"], os.environ["TENANTS"]) == ("0.2", "acme")


def test_a_query_may_have_several_lines_in_a_file(empty_environment: Path) -> None:
    query = "SELECT number AS id, -- the case's #\n  'a;b' AS x\nFROM cases"
    (empty_environment / "local.env").write_text(
        f'TICKETS_URL=sqlite:///t.sqlite\nLOW_VOLUME_FALLBACK_LABEL=1\nTICKETS_QUERY="{query};\n"\nTRAINING_PERIOD=7\n'
    )
    settings = load_settings()
    assert (settings.tickets.query, settings.tickets.training_period) == (query, 7)


@pytest.mark.parametrize(("given", "found"), [("25000000000101", 25_000_000_000_101), (" Sales  EU ", "Sales EU")])
def test_the_fallback_label_is_a_number_or_a_name(given: str, found: int | str) -> None:
    assert parse_settings({"LOW_VOLUME_FALLBACK_LABEL": given}).tickets.rules.low_volume_fallback_label == found
