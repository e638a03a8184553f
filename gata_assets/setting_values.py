"""What a setting's value may be: its kinds, and the rules that a type does not say.

Pure, one value at a time, faults in our words. Which setting has which rule is said in `settings`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from gata_assets.batches import parse_batch_id
from gata_assets.errors import BatchIdError


class SourceKind(StrEnum):
    """Where tickets are read from."""

    SAMPLE = "sample"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    DATA_API = "data-api"


class BackfillPolicy(StrEnum):
    """How many runs Dagster makes of a range of batches."""

    SINGLE_RUN = "single-run"
    RUN_PER_CHUNK = "run-per-chunk"


def readable_url(value: SecretStr) -> SecretStr:
    """A database URL that can be taken apart."""
    url = value.get_secret_value()
    try:
        is_readable = url.split("?")[0].count("@") <= 1 and urlsplit(url).port != 0
    except ValueError:
        is_readable = False
    if not is_readable:
        raise PydanticCustomError(
            "tickets_url",
            "cannot be read: in a user's name or password, characters such as @ : / [ # are to be written "
            "as %40 %3A %2F %5B %23",
        )
    return value


def bucket_name(value: str) -> str:
    """A bucket's name, without a scheme or a path."""
    if value.startswith("s3://") or "/" in value:
        raise PydanticCustomError("bucket", "must be a bucket's name alone, without s3:// and without a slash")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]", value):
        raise PydanticCustomError("bucket", "is not a bucket's name (3 to 63 of a-z 0-9 . -)")
    return value


def arn(value: str) -> str:
    """An Amazon Resource Name with a region."""
    parts = value.split(":")
    if parts[0] != "arn" or len(parts) < 7 or not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]+", parts[3]):
        raise PydanticCustomError("arn", "is not an ARN (arn:aws:service:region:account:kind:name)")
    return value


def owners(value: object) -> object:
    """E-mail addresses and team:names, from a text with commas between them."""
    owners = [owner.strip() for owner in value.split(",")] if isinstance(value, str) else value
    for owner in owners if isinstance(owners, list) else ():
        if not re.fullmatch(r"team:[A-Za-z0-9_.\-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
            raise PydanticCustomError("owners", "must be e-mail addresses or team:names, with commas between them")
    return owners


def batch_id(value: str) -> str:
    """A batch ID."""
    try:
        return parse_batch_id(value).batch_id
    except BatchIdError:
        raise PydanticCustomError("batch_id", "is not a batch ID (YYYYMMDDHH, an hour in UTC)") from None
