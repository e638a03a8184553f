"""`gata privacy erase` and `export` of a shop: a customer goes with all orders, also from a table that a user declares.

Real: the commands, settings, a directory, and S3 over HTTP (moto), with a bucket for raw files that keeps versions.
Nothing is faked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import boto3
import polars as pl
import pytest
from click.testing import CliRunner, Result

from gata_assets.cli.main import main
from gata_assets.definitions.privacy.requests import open_requests
from gata_assets.definitions.shop_engine import open_shop
from gata_assets.settings.model import load_settings
from gata_assets.shop.engine import ShopEngine
from gata_assets.shop.prod.source import EVERYTHING
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.shop.engine import PLACES, SOURCE, deliver
from gata_assets_tests.shop.test_erasure import files_of
from gata_assets_tests.support.canaries import canary

# As an e-mail address, which stored rows have as a token.
PERSON, NAMESAKE = f"{canary('who is erased')}@example.com", f"{canary('who stays')}@example.com"
# The customer's orders, and what belongs to them.
THEIRS = {"o0", "o3", "o6", "i0", "y0", "r0"}
TABLES = '''
"""Returns of orders."""
import pandera.polars as pa


class Returns(pa.DataFrameModel):
    """What customers sent back."""

    return_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="The return.")
    order_id: str = pa.Field(
        description="Its order.",
        metadata={"references": {"table": "orders", "column": "order_id", "mode": "park"}},
    )

    class Config:
        strict = True
        ordered = True
        metadata = {
            "table": "returns",
            "key": ["return_id"],
            "repetitions": "latest",
            "changes": {"operation": ["Op"], "committed_at": ["dms_timestamp"]},
        }
'''


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopEngine]:
    """A shop with a table of the user's, curated and published."""
    (tmp_path / "shop_returns.py").write_text(TABLES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABLE_SPECS", "shop_returns")
    monkeypatch.setenv("MASKING_KEY", canary("a masking key"))
    monkeypatch.setenv("PRIVACY_KEYS", f"1:{canary('a key of the tests')}{canary('and more of it')}")
    monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target"))
    if getattr(request, "param", "local") == "s3":
        bucket = request.getfixturevalue("bucket")
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=f"{bucket}-raw")
        s3.put_bucket_versioning(Bucket=f"{bucket}-raw", VersioningConfiguration={"Status": "Enabled"})
        monkeypatch.setenv("TARGET_BUCKET", bucket)
        monkeypatch.setenv("SHOP_RAW_BUCKET", f"{bucket}-raw")
    found = open_shop(load_settings())
    send(found)
    yield found
    sys.modules.pop("shop_returns", None)


def send(engine: ShopEngine) -> None:
    """Deliver all files, and bring the shop up to date."""
    for file in files_of((PERSON, NAMESAKE, "c9")):
        deliver(engine.store, file)
    returns = "".join(f"r{number},o{number}\n" for number in range(3))
    folder = f"{PLACES.raw('returns')}year=2026/month=01/day=04/"
    engine.store.write(f"{folder}LOAD00000001.csv", f"return_id,order_id\n{returns}".encode())
    curator = engine.curator(SOURCE)
    for table in curator.tables:
        for report in curator.validate_new(table):
            assert report.refused is None, report.refused
    assert list(curator.curate())
    assert list(engine.build(SOURCE, EVERYTHING))


def gata(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--tenant", PLACES.owner, "--subject", PERSON])


def visible(store: ObjectStore) -> set[str]:
    """The ids of curated orders, items, payments and returns, and of prod's orders."""
    found = set[str]()
    for key in (*store.list_keys(PLACES.root), *store.list_keys(PLACES.prod)):
        if key.endswith(".parquet") and ("/curated/orders/" in key or "build=" in key):
            rows = pl.read_parquet(BytesIO(store.read(key)))
            names = {"order_id", "order_item_id", "payment_id", "return_id"} & {*rows.columns}
            found |= {str(one) for name in names for one in rows[name].to_list()}
    return found


@pytest.mark.parametrize("engine", ["local", pytest.param("s3", marks=pytest.mark.server)], indirect=True)
def test_a_customer_goes_with_all_that_belongs_to_them(engine: ShopEngine) -> None:
    assert {"o0", "i0", "y0", "r0", "o1", "r1"} <= visible(engine.store)
    done = gata("privacy", "erase")
    assert done.exit_code == 0, done.output
    *places, last = map(json.loads, done.stdout.splitlines())
    records = {place["place"].partition(":")[0]: place["removed"].get("records") for place in places}
    assert {table: records[table] for table in ("customers", "orders", "order_items", "payments", "returns")} == {
        "customers": 1,
        "orders": 4,
        "order_items": 3,
        "payments": 4,
        "returns": 1,
    }
    assert last["left"] == []
    # No tenant's: the same id is another person there.
    assert not any("interactions" in place["place"] or "batches" in place["place"] for place in places)
    old = [place["objects"] for place in places if place["place"] == "old versions of objects"]
    # Of the target, which keeps none, and of raw files.
    assert not old or (old[0] == 0 and old[1] > 0)
    assert visible(engine.store).isdisjoint(THEIRS)
    assert {"o1", "i1", "y1", "r1", "o2"} <= visible(engine.store)
    raw = [engine.store.read(key) for key in engine.store.list_keys(PLACES.raw_files)]
    assert any(NAMESAKE.encode() in content for content in raw)
    assert PERSON not in done.output


def test_the_same_files_once_more_bring_nobody_back(engine: ShopEngine) -> None:
    assert gata("retention", "hold", "add", "--reason", "litigation").exit_code == 0
    assert "under a legal hold" in gata("privacy", "erase").output
    assert gata("retention", "hold", "remove", "--reason", "settled").exit_code == 0
    assert gata("privacy", "erase").exit_code == 0
    send(engine)
    assert visible(engine.store).isdisjoint(THEIRS)
    log = CliRunner().invoke(main, ["privacy", "log", "--tenant", PLACES.owner])
    assert json.loads(log.stdout.splitlines()[-1])["kind"] == "completed"
    # The job that carries out what is open finds it too, and tombstones of orders are no requests.
    assert PLACES.owner in open_requests(load_settings(), engine.store).tenants()
    [listed] = CliRunner().invoke(main, ["privacy", "requests", "--tenant", PLACES.owner]).stdout.splitlines()
    assert json.loads(listed)["state"] == "completed"


def test_an_export_has_what_belongs_to_a_customer(engine: ShopEngine) -> None:
    exported = gata("privacy", "export", "--to", "person.zip")
    assert exported.exit_code == 0, exported.output
    with ZipFile("person.zip") as archive:
        rows = archive.read("returns/raw_files.jsonl").decode()
        assert ("r0" in rows, "r1" in rows) == (True, False)
        assert {"payments/raw_files.jsonl", "tables_for_analysts.jsonl"} <= {*archive.namelist()}
