"""The table of docs/lake.md for those who come from the ticket analytics platform. Real: the page, our settings."""

from __future__ import annotations

import re

from gata_assets.settings.model import variable_names
from gata_assets_tests.docs.pages import DOCS

# What its users give it, as its documentation has it.
SETTINGS = {
    *("data=minio", "data=aws", "data.bucket", "data.raw_file", "redis_host", "redis_port"),
    *("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "logs/app.log"),
}
# Variables of the AWS SDK.
OF_SDK = {"AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_the_page_says_of_each_setting_of_the_platform_what_is_in_its_place() -> None:
    text = (DOCS / "lake.md").read_text().partition("## Coming from the ticket analytics platform")[2]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", text, flags=re.MULTILINE)
    assert {*re.findall(r"`([^`]+)`", " ".join(there for there, _ in rows))} >= SETTINGS
    named = {*re.findall(r"`([A-Z][A-Z0-9_]+)`", " ".join(here for _, here in rows))}
    assert named - OF_SDK <= {*variable_names(), "TENANT"}
    assert named >= {"TARGET_BUCKET", "REDIS_URL", "TEST_SHARE", "LOG_LEVEL", "MLFLOW_TRACKING_URI"}
