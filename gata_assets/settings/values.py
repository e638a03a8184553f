"""What groups of settings are declared with: their base class, kinds of values, and rules that a type cannot express.

Pure: one value at a time, with our own error messages. Each group declares which setting has which rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from gata_assets.batches import parse_batch_id
from gata_assets.curation.layout import NOBODY, RESERVED_NAMES, is_tenant_name
from gata_assets.errors import BatchIdError
from gata_assets.tables.masking.national_phones import unknown_regions
from gata_assets.tickets.sources.sql_text import QueryError, parse_query

# The fields of a cron expression: name, minimum, maximum, and names for numbers.
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of the week", 0, 7, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
)


SQLITE = "sqlite:///"
LAKE = "lake://"
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class SettingsGroup(BaseModel):
    """One domain's part of `settings.model.Settings`.

    A field's variable is its alias, by default its name in capitals. The text below a field is its description; its
    example is its default if it has one.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        alias_generator=str.upper,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def wrong(message: str) -> PydanticCustomError:
    """The error of a value or of values that do not go together."""
    return PydanticCustomError("setting", "{message}", {"message": message})


class SourceKind(StrEnum):
    """Where tickets are read from."""

    SAMPLE = "sample"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    DATA_API = "data-api"
    LAKE = "lake"


class BackfillPolicy(StrEnum):
    """How many runs Dagster starts for a range of batches."""

    SINGLE_RUN = "single-run"
    RUN_PER_CHUNK = "run-per-chunk"


class EngineKind(StrEnum):
    """What builds features and training rows of interactions."""

    POLARS = "polars"
    SPARK = "spark"


# A host, an IPv6 address in brackets or nothing, and a port or none.
_HOST_AND_PORT = re.compile(r"(\[[^\]/@]*\]|[^:/@\[\]]*)(:[0-9]{0,5})?")


def ticket_url(value: SecretStr) -> SecretStr:
    """The URL of a SQLite file, of a tenant's lake, or of a PostgreSQL database as libpq takes it: also of several
    hosts, of a socket's directory, without a host.
    """
    url = value.get_secret_value()
    if url.startswith(LAKE):
        if not is_tenant_name(url.removeprefix(LAKE)):
            raise wrong(f"is not lake://TENANT, where a tenant's name is {TENANT_NAME_RULE}")
        return value
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        return value
    if not url.startswith(("postgresql://", "postgres://")):
        raise wrong("is neither sqlite:///path, postgresql://user@host:port/database nor lake://tenant")
    authority, _, path = url.partition("?")[0].partition("//")[2].partition("/")
    hosts = authority.rpartition("@")[2].split(",")
    if authority.count("@") > 1 or "@" in path or not all(map(_HOST_AND_PORT.fullmatch, hosts)):
        raise wrong(
            "cannot be read: in a user's name or password, characters such as @ : / [ are to be written "
            "as %40 %3A %2F %5B"
        )
    return value


def select_statement(value: str) -> str:
    """One SELECT statement, without semicolons and comments after it."""
    try:
        return parse_query(value)
    except QueryError as error:
        raise wrong(str(error)) from None


def column_name(value: str) -> str:
    """A column's name, which is quoted in statements."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value):
        raise wrong("is not a column's name (1 to 63 of A-Z a-z 0-9 _, the first no digit)")
    return value


def bucket_name(value: str) -> str:
    """A bucket's name, without a scheme or a path."""
    if value.startswith("s3://") or "/" in value:
        raise wrong("must be a bucket's name alone, without s3:// and without a slash")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]", value):
        raise wrong("is not a bucket's name (3 to 63 of a-z 0-9 . -)")
    return value


def arn(value: str) -> str:
    """An Amazon Resource Name with a region."""
    parts = value.split(":")
    if parts[0] != "arn" or len(parts) < 7 or not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]+", parts[3]):
        raise wrong("is not an ARN (arn:aws:service:region:account:kind:name)")
    return value


def label(value: object) -> object:
    """A group's number, or its name."""
    text = " ".join(str(value).split())
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", text):
        return text
    if "." in text:
        raise wrong("is not a whole number")
    if not 0 <= int(text) < 2**63:
        raise wrong("should be greater than or equal to 0" if int(text) < 0 else "should be less than 2^63")
    return int(text)


def comma_separated(value: object) -> object:
    """The parts of a comma-separated text."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


TENANT_NAME_RULE = f"1 to 63 of a-z 0-9 _, other than {', '.join(sorted(RESERVED_NAMES | {NOBODY}))}"


def tenant_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of tenants, without repetitions, that can be the first part of a storage key and of an asset key."""
    if names == (NOBODY,):
        return ()
    for name in names:
        if not is_tenant_name(name):
            raise wrong(f"must be names of {TENANT_NAME_RULE}, with commas between them")
    if len(set(names)) < len(names):
        raise wrong("names a tenant twice")
    return names


def owners(value: object) -> object:
    """E-mail addresses and team:names, from a comma-separated text."""
    owners = comma_separated(value)
    for owner in owners if isinstance(owners, list) else ():
        if not re.fullmatch(r"team:[A-Za-z0-9_.\-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
            raise wrong("must be e-mail addresses or team:names, with commas between them")
    return owners


def module_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Dotted names of Python modules."""
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise wrong("must be names of Python modules (package.module), with commas between")
    return names


def object_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of objects of Python modules."""
    for name in names:
        module, colon, own = name.partition(":")
        if not colon or not all(part.isidentifier() for path in (module, own) for part in path.split(".")):
            raise wrong("must be names of objects of Python modules (package.module:object), with commas between")
    return names


def batch_id(value: str) -> str:
    """A batch ID."""
    try:
        return parse_batch_id(value).batch_id
    except BatchIdError:
        raise wrong("is not a batch ID (YYYYMMDDHH, an hour in UTC)") from None


def cron(value: str) -> str:
    """A cron expression of five fields that names one minute."""
    fields = value.lower().split()
    if len(fields) != len(_FIELDS):
        raise wrong("is not a schedule: five fields are needed, minute hour day month weekday (cron, in UTC)")
    for written, (name, least, most, words) in zip(fields, _FIELDS, strict=True):
        if not all(_is_cron_part(part, least, most, words) for part in written.split(",")):
            raise wrong(f"is not a schedule: its {name} is to be *, a number from {least} to {most}, a range or a step")
    if not fields[0].isdigit():
        raise wrong("may come several times an hour: a batch is an hour, so name one minute")
    return " ".join(fields)


def _is_cron_part(part: str, least: int, most: int, words: list[str]) -> bool:
    span, *steps = part.split("/")
    if len(steps) > 1 or (steps and not (steps[0].isdigit() and int(steps[0]) >= 1)):
        return False
    if span == "*":
        return True
    ends = [str(words.index(end)) if end and end in words else end for end in span.split("-")]
    if len(ends) > 2 or not all(end.isascii() and end.isdigit() and least <= int(end) <= most for end in ends):
        return False
    return int(ends[0]) <= int(ends[-1])


def topic(value: str) -> str:
    """The ARN of a standard SNS topic."""
    if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z]{2}(-[a-z]+)+-[0-9]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}", value):
        raise wrong("is not the ARN of a standard SNS topic (arn:aws:sns:region:account:name)")
    return value


def source_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of shops, without repetitions, which are named as tenants are."""
    if not all(map(is_tenant_name, names)):
        raise wrong(f"must be names of {TENANT_NAME_RULE}, with commas between them")
    if len(set(names)) < len(names):
        raise wrong("names a source twice")
    return names


def regions_of_phones(names: tuple[str, ...]) -> tuple[str, ...]:
    """Countries whose phone numbers are known, without repetitions."""
    if unknown_regions(names):
        raise wrong("must be countries with phone numbers (ISO 3166, two capital letters), with commas between them")
    return tuple(dict.fromkeys(names))


def queue_url(value: str) -> str:
    """The URL of a standard SQS queue."""
    if not re.fullmatch(r"https?://[^/\s@?#]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}", value):
        raise wrong("is not the URL of a standard SQS queue (https://sqs.region.amazonaws.com/account/name)")
    return value


def never_off(reason: str) -> Callable[[object], object]:
    """The validator of a switch that exists for those who set it, and cannot be switched off."""

    def check(value: object) -> object:
        if str(value).strip().lower() in ("false", "no", "off", "0", "f", "n"):
            raise wrong(f"cannot be switched off: {reason}")
        return value

    return check
