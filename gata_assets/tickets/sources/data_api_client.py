"""An RDS Data API client that waits for a resuming database and retries transient errors.

One statement at a time, with bound parameters; the ticket queries belong to `data_api`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import sleep
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from gata_assets.errors import DatabaseResumingError, DatabaseStillResumingError, SourceError
from gata_assets.tickets.sources.table_layout import TableLayoutError

if TYPE_CHECKING:
    from types_boto3_rds_data import RDSDataServiceClient
    from types_boto3_rds_data.type_defs import SqlParameterTypeDef
    from types_boto3_secretsmanager import SecretsManagerClient

# Transient errors. Waiting for a resuming database is separate and limited by a total time.
RESUMING = "DatabaseResumingException"
THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException", "ServiceUnavailableError"})
TIMED_OUT = "StatementTimeoutException"
_SIZE_LIMITS = ("response size", "row size")
# An undefined table, column, type or operator, and a type that does not fit.
_LAYOUT_STATES = re.compile(r"SQLState: (42P01|42703|42704|42883|42804|42846)")
MAX_ATTEMPTS = 6
RESUME_WAIT_SECONDS = 120.0

# The service ends a call after 45 s; waiting a little longer returns its error instead of our timeout.
READ_TIMEOUT_SECONDS = 50
CONNECT_TIMEOUT_SECONDS = 5


class ResponseTooLargeError(SourceError):
    """A response exceeds the service's limit of 1 MiB."""


class TruncatedResponseError(SourceError):
    """The connection broke in the middle of a response.

    The SDK does not report this: it returns a response without rows. Treating it as "no rows" would lose tickets.
    """


@dataclass
class DataApiClient:
    """Executes statements on a database through the RDS Data API.

    `resume_wait_seconds` limits the total time of all waits for a resuming database over the client's life, so create
    one per read; 0 never waits.
    """

    client: RDSDataServiceClient
    cluster_arn: str
    secret_arn: str
    database: str
    resume_wait_seconds: float = RESUME_WAIT_SECONDS
    max_attempts: int = MAX_ATTEMPTS
    sleep: Callable[[float], None] = sleep
    waited_seconds: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False, repr=False)

    def execute(self, sql: str, parameters: Mapping[str, int | str]) -> tuple[list[dict[str, Any]], int]:
        """Run one statement.

        Returns:
            Its rows, and their size in the response in bytes.

        Raises:
            ResponseTooLargeError: If the rows exceed 1 MiB.
            DatabaseResumingError: If the database is resuming and `resume_wait_seconds` is 0.
            DatabaseStillResumingError: If it is still resuming after `resume_wait_seconds`.
            SourceError: For other errors, after retries if they are transient.
        """
        self._failures = 0
        bound: list[SqlParameterTypeDef] = [
            {"name": name, "value": {"longValue": value} if isinstance(value, int) else {"stringValue": value}}
            for name, value in parameters.items()
        ]
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_is_transient),
                stop=self._should_stop,
                wait=self._wait_seconds,
                before_sleep=self._count_wait,
                sleep=self.sleep,
                reraise=True,
            ):
                with attempt:
                    response = self.client.execute_statement(
                        resourceArn=self.cluster_arn,
                        secretArn=self.secret_arn,
                        database=self.database,
                        sql=sql,
                        parameters=bound,
                        formatRecordsAs="JSON",
                    )
                    if "formattedRecords" not in response:
                        raise TruncatedResponseError(
                            f"The RDS Data API's response was truncated (after {self._attempts()}). Run the batch "
                            "again; if it persists, check the network between this host and the service."
                        )
        except (ClientError, BotoCoreError) as error:
            raise self._source_error(error) from None
        records = response["formattedRecords"]
        return json.loads(records), len(records.encode())

    def _wait_seconds(self, state: RetryCallState) -> float:
        """Full jitter, doubling up to 8 s; for a resuming database at most its remaining time."""
        seconds = float(wait_random_exponential(multiplier=0.5, max=8)(state))
        if _is_resuming(state):
            return min(seconds + 0.25, self.resume_wait_seconds - self.waited_seconds)
        return seconds

    def _count_wait(self, state: RetryCallState) -> None:
        if _is_resuming(state) and state.next_action:
            self.waited_seconds += state.next_action.sleep

    def _should_stop(self, state: RetryCallState) -> bool:
        if _is_resuming(state):
            return self.waited_seconds >= self.resume_wait_seconds
        self._failures += 1
        return self._failures >= self.max_attempts

    def _attempts(self) -> str:
        return f"{self.max_attempts} attempt{'s' if self.max_attempts > 1 else ''}"

    def _source_error(self, error: ClientError | BotoCoreError) -> SourceError:
        code = _code(error)
        if code == RESUMING and not self.resume_wait_seconds:
            return DatabaseResumingError("The Aurora cluster is resuming from a pause; this read does not wait for it.")
        if code == RESUMING:
            return DatabaseStillResumingError(
                f"The Aurora cluster was still resuming after {self.resume_wait_seconds:.0f} s of waiting. "
                "Run the batch again; if it persists, check the cluster's state and its minimum capacity."
            )
        message = error.response.get("Error", {}).get("Message", "") if isinstance(error, ClientError) else str(error)
        if any(limit in message.lower() for limit in _SIZE_LIMITS):
            return ResponseTooLargeError("A response of the RDS Data API is over 1 MiB, or one of its rows over 64 KB.")
        attempts = f" (after {self._attempts()})" if _is_transient(error) else ""
        kind = TableLayoutError if _LAYOUT_STATES.search(message) else SourceError
        return kind(f"The RDS Data API refused a statement: {code}{attempts}: {_without_values(code, message)}")


def read_database_name(client: SecretsManagerClient, secret_arn: str) -> str:
    """Read `dbname` from the cluster's secret (JSON with dbname, username, password); raises SourceError."""
    try:
        secret = client.get_secret_value(SecretId=secret_arn)["SecretString"]
        name = json.loads(secret)["dbname"]
    except ClientError as error:
        raise SourceError(
            f"The database's secret (DB_SECRET_ARN) cannot be read: {_code(error)}. The role needs "
            "secretsmanager:GetSecretValue on it, and kms:Decrypt if your own key encrypts it."
        ) from None
    except BotoCoreError as error:
        raise SourceError(f"The database's secret (DB_SECRET_ARN) cannot be read: {error}.") from None
    except (KeyError, TypeError, ValueError):
        raise SourceError(
            "The database's secret (DB_SECRET_ARN) has no `dbname`: it must be a JSON object with dbname, username and "
            "password."
        ) from None
    return str(name)


def _is_resuming(state: RetryCallState) -> bool:
    return state.outcome is not None and _code(state.outcome.exception()) == RESUMING


def _code(error: BaseException | None) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def _without_values(code: str, message: str) -> str:
    """The message, or a general one if it may contain a value: PostgreSQL quotes input that it cannot parse."""
    if "invalid input" in message or "out of range" in message:
        return "a value's type differs from the documented one"
    return message or code


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError | TruncatedResponseError):
        return True
    return _code(error) in THROTTLED | {TIMED_OUT, RESUMING}
