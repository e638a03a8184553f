"""Generated sample shops, read back from their files: rows, changes for the oracle, and faults of a row by itself."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
from email_validator import EmailNotValidError, validate_email

from gata_assets.sandbox.sample_data import SHOP
from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import (
    CustomerFaults,
    FileFaults,
    OrderFaults,
    ProductFaults,
    ShopCounts,
    ShopParameters,
)
from gata_assets.storage.local import LocalStore
from gata_assets_tests.shop.oracle import KEYS, Change

MOST_FAULTS = ShopParameters(
    customers=400,
    products=100,
    customer_faults=CustomerFaults(0.05, 0.06, 0.07, 0.08, 0.09),
    product_faults=ProductFaults(0.11),
    order_faults=OrderFaults(0.04, 0.05, 0.06, 0.07, 0.03, 0.08, 0.05, 0.02, 0.06),
    file_faults=FileFaults(0.3, 0.4),
)
NO_FAULTS = ShopParameters(
    customer_faults=CustomerFaults(0, 0, 0, 0, 0),
    product_faults=ProductFaults(0),
    order_faults=OrderFaults(0, 0, 0, 0, 0, 0, 0, 0, 0),
    file_faults=FileFaults(0, 0),
)
Files = Mapping[str, bytes]


def generate(folder: Path, parameters: ShopParameters) -> tuple[Files, ShopCounts]:
    counts = write_sample_shop(LocalStore(str(folder)), parameters)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("shop/**/*.*"))}
    return files, counts


def table_of(key: str) -> str:
    return key.split("/")[3].removesuffix("-raw")


def parquet_files(files: Files) -> dict[str, pa.Table]:
    return {key: pq.read_table(io.BytesIO(content)) for key, content in files.items()}


def rows_of(files: Files) -> dict[str, list[dict[str, Any]]]:
    """All rows of each table, as they are delivered."""
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in KEYS}
    for key, table in parquet_files(files).items():
        rows[table_of(key)] += table.to_pylist()
    return rows


def changes_of(files: Files) -> dict[str, list[Change]]:
    changes: dict[str, list[Change]] = {table: [] for table in KEYS}
    for key, table in parquet_files(files).items():
        for number, row in enumerate(table.to_pylist()):
            at = datetime.strptime(row.pop("dms_timestamp"), "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
            values = {name: as_utc(value) for name, value in row.items() if name != "Op"}
            changes[table_of(key)].append(Change(row.get("Op", "I"), at, key, number, values))
    return changes


def as_utc(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def faults_of(table: str, row: Mapping[str, Any]) -> list[str]:
    """The faults of a row by itself, by the libraries that know."""
    found = {
        "missing_customer_id": table == "customers" and row["customer_id"] is None,
        "missing_payment_id": table == "payments" and row["payment_id"] is None,
        "invalid_email": row.get("email") is not None and not is_email(row["email"]),
        "invalid_phone": row.get("phone") is not None and not is_phone(row["phone"]),
        "unknown_country": row.get("country") in SHOP["people"]["unknown_countries"],
        "date_out_of_reason": row.get("created_at") is not None and not 2000 < row["created_at"].year < 2100,
        "negative_price": row.get("price") is not None and row["price"] <= 0,
        "zero_quantity": table == "order_items" and row["quantity"] == 0,
    }
    return [fault for fault, is_found in found.items() if is_found]


def is_email(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def is_phone(text: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, None))
    except phonenumbers.NumberParseException:
        return False


def without_copies(files: Files) -> Files:
    """The files without those that were delivered again."""
    first: dict[bytes, str] = {}
    for key, content in files.items():
        first.setdefault(content, key)
    return {key: content for content, key in first.items()}
