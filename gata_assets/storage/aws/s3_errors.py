"""Errors of the AWS SDK in words, as errors of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from gata_assets.errors import (
    AccessDeniedError,
    ArchivedError,
    ConflictError,
    ObjectNotFoundError,
    StoreError,
)

_DENIED = frozenset({"AccessDenied", "403", "Forbidden"})
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
# S3 sends the second while another request for the object is in progress.
_CONFLICT = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})


class BeyondTheEndError(StoreError):
    """The requested part of an object begins after its end."""


class RepeatedConflictError(ConflictError):
    """A condition failed in a call that the SDK repeated."""


@contextmanager
def s3_errors(uri: str, done: str, action: str) -> Iterator[None]:
    """Raise an error of the SDK as a StoreError that says what could not be done, and which right it needs."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise ObjectNotFoundError(f"There is no {uri}.") from None
        if code in _DENIED:
            raise AccessDeniedError(
                f"{uri} may not be {done}: the role needs {action} on it (and the use of the KMS key)."
            ) from None
        if code == "InvalidObjectState":
            raise ArchivedError(
                f"{uri} could not be {done}: it is in an archive, from which it has to be restored first (`aws s3api "
                "restore-object`)."
            ) from None
        if code in _CONFLICT:
            is_repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
            raise (RepeatedConflictError if is_repeated else ConflictError)(changed(uri)) from None
        if code == "NotImplemented":
            raise StoreError(
                f"{uri} could not be {done}: the endpoint does not support conditional writes. With "
                "CONDITIONAL_WRITES=no it can be used by one command at a time; see `gata doctor`."
            ) from None
        kind = BeyondTheEndError if code == "InvalidRange" else StoreError
        raise kind(f"{uri} could not be {done}: {code}. Look at TARGET_BUCKET and its region.") from None
    except BotoCoreError as error:
        raise StoreError(
            f"{uri} could not be {done}: {error}. Look at TARGET_BUCKET, AWS_ENDPOINT_URL and the credentials."
        ) from None


def changed(uri: str) -> str:
    """What is said of an object with another version than was expected."""
    return f"{uri} was not changed: another command has changed it meanwhile."
