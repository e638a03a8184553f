"""An S3 endpoint that accepts connections and never answers ends every call, with an error in words.

Real: sockets, the AWS SDK. The limits are injected small; no test measures how long a call takes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.errors import StoreError
from gata_assets.storage.objects import ABSENT
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.loopback import silent_server

pytestmark = pytest.mark.server

CALLS: dict[str, Callable[[S3StoreResource], object]] = {
    "write": lambda store: store.write("a", b"x", expected=ABSENT),
    "write_file": lambda store: store.write_file("a", Path(__file__)),
    "read": lambda store: store.read("a"),
    "read_part": lambda store: store.read_part("a", 0, 1),
    "list": lambda store: list(store.list_keys("a/")),
    "exists": lambda store: store.exists("a"),
    "delete": lambda store: store.delete("a"),
    "local_copy": lambda store: store.local_copy("a").__enter__(),
}


@pytest.fixture
def silent(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3StoreResource]:
    """A store whose endpoint never answers."""
    with silent_server() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        yield S3StoreResource(bucket="training", s3=S3Resource(max_attempts=1), connect_seconds=0.2, read_seconds=0.2)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_ends_when_nobody_answers(silent: S3StoreResource, call: str) -> None:
    with pytest.raises(StoreError, match=r"could not be \w+( \w+)?: Read timeout on endpoint URL"):
        CALLS[call](silent)


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9"])
def test_aws_and_other_endpoints_have_the_same_limits(
    aws_credentials: None, monkeypatch: pytest.MonkeyPatch, endpoint: str | None
) -> None:
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    config = S3StoreResource(bucket="training", s3=S3Resource(region_name="eu-central-1"))._client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 60)
    assert config.retries["mode"] == "standard"  # type: ignore[attr-defined]
    assert config.retries["total_max_attempts"] == 6  # type: ignore[attr-defined]


def test_limits_go_with_a_pickled_store() -> None:
    store = S3StoreResource(bucket="training", s3=S3Resource(), connect_seconds=1, read_seconds=2)
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.connect_seconds, copy.read_seconds) == (1, 2)
