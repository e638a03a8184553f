"""A client of the RDS Data API that waits for a resuming database and retries what passes by itself.

One statement at a time, with bound parameters; what is read with it belongs to `data_api_source`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from gata_assets.errors import DatabaseResumingError, DatabaseStillResumingError, SourceError

if TYPE_CHECKING:
    from types_boto3_rds_data import RDSDataServiceClient
    from types_boto3_rds_data.type_defs import SqlParameterTypeDef
    from types_boto3_secretsmanager import SecretsManagerClient

# What passes by itself. A resuming database is waited for apart, for a given time in all.
RESUMING = "DatabaseResumingException"
THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException", "ServiceUnavailableError"})
TIMED_OUT = frozenset({"StatementTimeoutException"})
MOST_ATTEMPTS = 6
RESUME_WAIT_SECONDS = 120.0

# The service ends a call after 45 s; to wait a little longer gets its answer instead of our time-out.
READ_TIMEOUT_SECONDS = 50
CONNECT_TIMEOUT_SECONDS = 5


class ResponseTooLargeError(SourceError):
    """The rows of one answer are more than the service gives at once (1 MiB)."""


class AnswerCutShortError(SourceError):
    """The connection broke in the middle of an answer.

    The SDK does not say so: it hands on an answer without rows. To take that for "no rows" would lose tickets.
    """


@dataclass
class DataApiClient:
    """Statements on one database through the RDS Data API.

    `resume_wait_seconds` is the time that all waits for a resuming database may take together, counted over the
    life of the client: make one for each read; 0 waits for none. `calls` counts the requests that were sent.
    """

    client: RDSDataServiceClient
    cluster_arn: str
    secret_arn: str
    database: str
    resume_wait_seconds: float = RESUME_WAIT_SECONDS
    most_attempts: int = MOST_ATTEMPTS
    sleep: Callable[[float], None] = sleep
    calls: int = 0
    waited_seconds: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False, repr=False)

    def execute(self, sql: str, parameters: Mapping[str, int | str]) -> tuple[list[dict[str, Any]], int]:
        """Run one statement; gives its rows as dicts, and the bytes that they took in the answer.

        Raises ResponseTooLargeError, DatabaseStillResumingError when the time for that is used up (where there is
        none: DatabaseResumingError), and SourceError at once for everything that does not pass by itself.
        """
        self._failures = 0
        bound: Sequence[SqlParameterTypeDef] = [_bind(name, value) for name, value in parameters.items()]
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_passes_by_itself),
                stop=self._is_hopeless,
                wait=self._wait_seconds,
                before_sleep=self._count_wait,
                sleep=self.sleep,
                reraise=True,
            ):
                with attempt:
                    self.calls += 1
                    answer = self.client.execute_statement(
                        resourceArn=self.cluster_arn,
                        secretArn=self.secret_arn,
                        database=self.database,
                        sql=sql,
                        parameters=bound,
                        formatRecordsAs="JSON",
                    )
                    if "formattedRecords" not in answer:
                        raise AnswerCutShortError(
                            f"The RDS Data API's answer broke off (after {self._tries()}). Run the batch "
                            "again; if that lasts, look at what is between here and the service."
                        )
        except (ClientError, BotoCoreError) as error:
            raise self._in_our_words(error) from None
        records = answer["formattedRecords"]
        return json.loads(records), len(records.encode())

    def _wait_seconds(self, state: RetryCallState) -> float:
        """Full jitter, doubling up to 8 s; for a resuming database never more than what is left of its time."""
        seconds = float(wait_random_exponential(multiplier=0.5, max=8)(state))
        if _code(_raised(state)) == RESUMING:
            return min(seconds + 0.25, self.resume_wait_seconds - self.waited_seconds)
        return seconds

    def _count_wait(self, state: RetryCallState) -> None:
        if _code(_raised(state)) == RESUMING and state.next_action:
            self.waited_seconds += state.next_action.sleep

    def _is_hopeless(self, state: RetryCallState) -> bool:
        if _code(_raised(state)) == RESUMING:
            return self.waited_seconds >= self.resume_wait_seconds
        self._failures += 1
        return self._failures >= self.most_attempts

    def _tries(self) -> str:
        return f"{self.most_attempts} attempt{'s' if self.most_attempts > 1 else ''}"

    def _in_our_words(self, error: ClientError | BotoCoreError) -> SourceError:
        code = _code(error)
        if code == RESUMING and not self.resume_wait_seconds:
            return DatabaseResumingError("The Aurora cluster is resuming from a pause; it was not waited for.")
        if code == RESUMING:
            return DatabaseStillResumingError(
                f"The Aurora cluster was still resuming after {self.resume_wait_seconds:.0f} s of waiting. "
                "Run the batch again; if that lasts, look at the cluster's state and its minimum capacity."
            )
        message = _message(error)
        if "response size limit" in message or "response size" in message.lower():
            return ResponseTooLargeError("An answer of the RDS Data API is over 1 MiB.")
        tried = f" (after {self._tries()})" if _passes_by_itself(error) else ""
        return SourceError(f"The RDS Data API refused a statement: {code}{tried}: {_shown(code, message)}")


def read_database_name(client: SecretsManagerClient, secret_arn: str) -> str:
    """The `dbname` of the cluster's secret (JSON with dbname, username, password); raises SourceError."""
    try:
        secret = client.get_secret_value(SecretId=secret_arn)["SecretString"]
        name = json.loads(secret)["dbname"]
    except ClientError as error:
        raise SourceError(
            f"The database's secret (DB_SECRET_ARN) cannot be read: {_code(error)}. The role needs "
            "secretsmanager:GetSecretValue on it, and kms:Decrypt where a key of your own encrypts it."
        ) from None
    except BotoCoreError as error:
        raise SourceError(f"The database's secret (DB_SECRET_ARN) cannot be read: {error}.") from None
    except (KeyError, TypeError, ValueError):
        raise SourceError(
            "The database's secret (DB_SECRET_ARN) holds no `dbname`: it must be a JSON object with dbname, "
            "username and password."
        ) from None
    return str(name)


def _bind(name: str, value: int | str) -> SqlParameterTypeDef:
    if isinstance(value, int):
        return {"name": name, "value": {"longValue": value}}
    return {"name": name, "value": {"stringValue": value}}


def _raised(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _code(error: BaseException | None) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def _message(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Message", ""))
    return str(error)


def _shown(code: str, message: str) -> str:
    """A message without what may be a value: PostgreSQL quotes the input that it could not read."""
    if "invalid input" in message or "out of range" in message:
        return "a value has another type than documented"
    return message or code


def _passes_by_itself(error: BaseException) -> bool:
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError | AnswerCutShortError):
        return True
    return _code(error) in THROTTLED | TIMED_OUT | {RESUMING}
