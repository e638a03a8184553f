"""The secrets by which webhooks are verified, by their names: variables of this process, or AWS Secrets Manager.

What is in Secrets Manager is read again after a minute, so a new value counts within that time without a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gata_assets.errors import WebhookError
from gata_assets.ingestion.webhooks.source import is_arn

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

CACHED_SECONDS = 60.0
# Whoever asks, a secret that cannot be read is asked for once in so long, and others wait for that no longer: they hold
# threads of the service meanwhile.
_FAILURE_SECONDS, _PATIENCE_SECONDS = 5.0, 1.0


def secrets_manager(region: str) -> SecretsManagerClient:
    """A client of Secrets Manager that gives up before a sender of webhooks does; the SDK is imported when needed."""
    import boto3

    patience = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client("secretsmanager", region_name=region, config=patience)


class WebhookSecrets:
    """Finds secrets by name; safe for several threads."""

    def __init__(
        self,
        variables: Mapping[str, str],
        client: Callable[[], SecretsManagerClient],
        *,
        clock: Callable[[], float] = monotonic,
        cached_seconds: float = CACHED_SECONDS,
    ) -> None:
        """Use variables, and a client of Secrets Manager once a source names an ARN; `clock` has seconds."""
        self._variables, self._client, self._clock, self._cached = variables, client, clock, cached_seconds
        self._read: dict[str, tuple[float, str | WebhookError]] = {}
        self._lock = Lock()

    def find(self, name: str) -> str:
        """The secret of that name; raises WebhookError if there is none, or it cannot be read now."""
        if not is_arn(name):
            secret = self._variables.get(name, "").strip()
            if not secret:
                raise WebhookError(f"The service has no variable {name}: set it, and start the service again.")
            return secret
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            raise WebhookError(f"{name} is being read, and AWS Secrets Manager does not answer.")
        try:
            read_at, found = self._read.get(name, (None, ""))
            kept = self._cached if isinstance(found, str) else _FAILURE_SECONDS
            if read_at is None or self._clock() - read_at >= kept:
                try:
                    found = self._ask(name)
                except WebhookError as error:
                    found = error
                self._read[name] = self._clock(), found
        finally:
            self._lock.release()
        if isinstance(found, WebhookError):
            raise WebhookError(str(found))
        return found

    def _ask(self, arn: str) -> str:
        try:
            secret = self._client().get_secret_value(SecretId=arn).get("SecretString", "").strip()
        except (ClientError, BotoCoreError) as error:
            code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
            raise WebhookError(
                f"{arn} cannot be read: {code or type(error).__name__}. The role needs secretsmanager:GetSecretValue "
                "on it, and kms:Decrypt if your own key encrypts it."
            ) from None
        if not secret:
            raise WebhookError(f"{arn} has no text: its SecretString is to be the secret alone.")
        return secret
