"""Settings of the shop, CONFIG_JSON and CONFIG_FILE. The environment is real where it is read, and put back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gata_assets.errors import SettingsError
from gata_assets.settings.config_values import find_config_values, read_config
from gata_assets.settings.effective import HIDDEN, find_effective_settings
from gata_assets.settings.model import load_settings, parse_settings, variable_names
from gata_assets.settings.shop_rules import shop_rules, shop_tables
from gata_assets.tables.masking.tokens import Tokens
from gata_assets_tests.support.canaries import canary

SECRET = canary("a masking key")


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable of ours is set, and the working directory is empty."""
    for name in (*variable_names(), "GATA_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_settings_there_is_no_shop() -> None:
    shop = parse_settings({}).shop
    assert (shop.sources, shop.raw_bucket, shop.dlq_url, shop.masking_key) == (None, None, None, None)
    assert (shop.parked_days, shop.compression, shop.grace_hours) == (7, "zstd", 24)


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("VALIDATION_ENABLED", "cannot be switched off: rows are always validated"),
        ("DEDUPLICATION_ENABLED", "cannot be switched off: of the changes of a row the latest always counts"),
        ("PCI_DSS_ENABLED", "cannot be switched off: card numbers are never stored"),
    ],
)
@pytest.mark.parametrize("value", ["false", "False", "no", "0", "off"])
def test_what_is_always_on_is_refused_off_with_the_reason(variable: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}: '{value}' {reason}"):
        parse_settings({variable: value})
    assert parse_settings({variable: "true"})


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("SHOP_SOURCES", "ecommerce,ecommerce", "names a source twice"),
        ("SHOP_SOURCES", "E-Commerce", "must be names of 1 to 63 of a-z 0-9 _"),
        ("SHOP_RAW_BUCKET", "s3://raw", "must be a bucket's name alone"),
        ("SHOP_PHONE_REGIONS", "US,Germany", "must be countries with phone numbers"),
        ("SHOP_PHONE_REGIONS", "de", "must be countries with phone numbers"),
        ("SHOP_COMPRESSION", "gzip", "should be 'zstd' or 'snappy'"),
        ("SHOP_DLQ_URL", "gata-dlq", "is not the URL of a standard SQS queue"),
        ("SHOP_DLQ_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/a.fifo", "is not the URL of a standard"),
        ("SHOP_DATA_TOPIC_ARN", "topic", "is not the ARN of a standard SNS topic"),
    ],
)
def test_a_wrong_value_of_the_shop_names_its_fault(variable: str, value: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}: .*{fault}"):
        parse_settings({variable: value})


def test_a_short_masking_key_is_refused_and_never_shown() -> None:
    with pytest.raises(SettingsError, match="MASKING_KEY: has fewer than 16 bytes") as caught:
        parse_settings({"MASKING_KEY": SECRET[:15]})
    assert SECRET[:15] not in str(caught.value)
    assert SECRET not in repr(parse_settings({"MASKING_KEY": SECRET}))


def test_masking_keys_have_versions_and_one_alone_is_the_first() -> None:
    older, newer = SECRET, SECRET[::-1]
    for value, newest, earlier in (
        (older, older, []),
        (f"1:{older}", older, []),
        (f"2:{newer}, 1:{older}", newer, [older]),
        (f"a:{older},2:{newer}", f"a:{older},2:{newer}", []),
    ):
        settings = parse_settings({"MASKING_KEY": value, "LAKE_MASKING_KEY": value})
        expected = Tokens(newest.encode(), [key.encode() for key in earlier]).every_token("email", "a@b.co")
        assert shop_rules(settings).tokens.every_token("email", "a@b.co") == expected
        assert settings.lake.offline_rules.tokens.every_token("email", "a@b.co") == expected
    for value, fault in (
        (f"1:{older},{newer}", "has a part that is no VERSION:KEY"),
        (f"1:{older},1:{newer}", "has two keys of version 1"),
        (f"1:{older},2:short", "has a key of fewer than 16 bytes .version 2"),
    ):
        with pytest.raises(SettingsError, match=f"MASKING_KEY: {fault}") as caught:
            parse_settings({"MASKING_KEY": value})
        assert older not in str(caught.value)


def test_the_regions_of_phones_are_those_of_tables_that_declare_none() -> None:
    settings = {"SHOP_PHONE_REGIONS": "US, DE,US", "TABLE_SPECS": "gata_assets_tests.settings.french_returns"}
    tables = shop_tables(parse_settings(settings))
    assert tables.pop("returns").phone_regions == ("FR",)
    assert {spec.phone_regions for spec in tables.values()} == {("US", "DE")}
    assert {spec.phone_regions for spec in shop_tables(parse_settings({})).values()} == {()}
    assert {spec.digest for spec in tables.values()}.isdisjoint(
        spec.digest for spec in shop_tables(parse_settings({})).values()
    )


def test_two_of_the_three_buckets_are_not_the_same() -> None:
    with pytest.raises(SettingsError, match="SHOP_RAW_BUCKET and SHOP_PROD_BUCKET are the same bucket"):
        parse_settings({"SHOP_RAW_BUCKET": "one-bucket", "SHOP_PROD_BUCKET": "one-bucket"})


def test_a_variable_of_earlier_jobs_without_a_meaning_is_refused_with_the_reason() -> None:
    with pytest.raises(SettingsError, match="BATCH_SIZE is no setting here: files are read in blocks of bytes"):
        parse_settings({"BATCH_SIZE": "10000"})


def test_a_key_is_refused_where_it_would_encrypt_nothing() -> None:
    with pytest.raises(SettingsError, match="SHOP_KMS_KEY needs SHOP_CURATED_BUCKET and SHOP_PROD_BUCKET"):
        parse_settings({"SHOP_KMS_KEY": "alias/shop", "SHOP_PROD_BUCKET": "one-bucket"})


class TestConfig:
    def test_a_key_is_a_variable_in_any_case_and_values_are_written_as_in_a_file(self) -> None:
        text = json.dumps(
            {
                "parked_days": 3,
                "Shop_Sources": ["a", "b"],
                "VALIDATION_ENABLED": True,
                "MASKING_KEY": None,
                "SPLIT_SEED": "7",
            }
        )
        found = read_config(text, "CONFIG_JSON", variable_names())
        assert found == {"PARKED_DAYS": "3", "SHOP_SOURCES": "a,b", "VALIDATION_ENABLED": "yes", "SPLIT_SEED": "7"}

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("{", "CONFIG_JSON is not JSON"),
            ("[1]", "CONFIG_JSON is not an object of JSON"),
            ("[]", "CONFIG_JSON is not an object of JSON"),
            ('"x"', "CONFIG_JSON is not an object of JSON"),
            ('{"PARKED_DAY": 1}', r"PARKED_DAY is not a setting; did you mean PARKED_DAYS\?"),
            ('{"colour": 1}', "colour is not a setting; example.env lists all settings"),
            ('{"PARKED_DAYS": 1, "parked_days": 2}', "PARKED_DAYS is set twice"),
            ('{"PARKED_DAYS": {"a": 1}}', "PARKED_DAYS is to be a text, a number"),
            ('{"SHOP_SOURCES": [["a"]]}', "SHOP_SOURCES is to be a text, a number"),
            ('{"CONFIG_FILE": "x"}', "CONFIG_FILE cannot be set here"),
        ],
    )
    def test_what_is_not_a_setting_is_refused_by_its_name(self, text: str, fault: str) -> None:
        with pytest.raises(SettingsError, match=fault):
            read_config(text, "CONFIG_JSON", variable_names())

    def test_a_value_that_cannot_be_used_is_not_shown(self) -> None:
        for text in (f'{{"MASKING_KEY": {{"{SECRET}": 1}}}}', f'{{"MASKING_KEY": "{SECRET}'):
            with pytest.raises(SettingsError) as caught:
                read_config(text, "CONFIG_JSON", variable_names())
            assert SECRET not in str(caught.value)

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"CONFIG_FILE: .*nowhere\.json cannot be read: FileNotFoundError"):
            find_config_values({"CONFIG_FILE": str(tmp_path / "nowhere.json")}, variable_names())

    def test_environment_file_json_and_file_are_read_in_this_order(
        self, empty_environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        everywhere = ("PARKED_DAYS", "SPLIT_SEED", "TRAINING_PERIOD", "SHOP_GRACE_HOURS")
        (empty_environment / "config.json").write_text(json.dumps(dict.fromkeys(everywhere, 4)))
        (empty_environment / "local.env").write_text("SPLIT_SEED=2\nCONFIG_FILE=config.json\n")
        monkeypatch.setenv("CONFIG_JSON", json.dumps({**dict.fromkeys(everywhere[:3], 3), "MASKING_KEY": SECRET}))
        monkeypatch.setenv("PARKED_DAYS", "1")
        settings, effective = find_effective_settings()
        assert (settings.shop.parked_days, settings.tickets.split_seed) == (1, 2)
        assert (settings.tickets.training_period, settings.shop.grace_hours) == (3, 4)
        origins = {one.description.variable: one.origin for one in effective}
        assert [origins[name] for name in everywhere] == ["environment", "local.env", "CONFIG_JSON", "config.json"]
        shown = {one.description.variable: one.value for one in effective}
        assert (shown["MASKING_KEY"], shown["CONFIG_JSON"]) == (HIDDEN, HIDDEN)
        assert settings.shop.masking_key and settings.shop.masking_key.get_secret_value() == SECRET

    def test_a_wrong_value_of_the_object_is_refused_as_any_other(
        self, empty_environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONFIG_JSON", '{"pci_dss_enabled": false}')
        with pytest.raises(SettingsError, match="PCI_DSS_ENABLED: 'no' cannot be switched off: card numbers"):
            load_settings()
