"""Errors of other systems and processes, and of those who ask them or are asked."""

from __future__ import annotations

from collections.abc import Mapping

from gata_assets.errors.base import GataError


class OwnStoreError(GataError):
    """A store of the user's own, which PRIVACY_HOOKS names, failed; the message names the store, and nobody."""


class ApiKeyError(GataError):
    """An API key cannot be made as it was asked for, or there is none with this prefix."""


class IdempotencyError(GataError):
    """A request cannot be made idempotent: its key or its tenant is none, or its answer is too large to be kept."""


class WebhookError(GataError):
    """A source of webhooks cannot be registered as it was asked for, there is none, or its secret cannot be read."""


class WebhookSignatureError(WebhookError):
    """A request is not signed by a secret of its source, or, with `is_stale`, it was signed too long ago."""

    def __init__(self, message: str, *, is_stale: bool = False) -> None:
        super().__init__(message)
        self.is_stale = is_stale


class ServiceError(GataError):
    """The HTTP service did not do what a client asked it."""


class ServiceRefusedError(ServiceError):
    """The service refused a request; `status`, `kind` (the last word of the problem's type) and `problem` say why."""

    def __init__(self, message: str, *, status: int, kind: str, problem: Mapping[str, object]) -> None:
        super().__init__(message)
        self.status, self.kind, self.problem = status, kind, problem


class ServiceAwayError(ServiceError):
    """The service did not answer in time, or only that it cannot now: it is not known whether it did it."""


class BatchesFailedError(ServiceError):
    """Batches of a client were refused or not answered: `GataClient.take_failed` returns them."""


class ProcessLostError(GataError):
    """The process that works on rows ended before it was done; another one takes its place."""


class AlertError(GataError):
    """An alert could not be delivered."""


class QueueError(GataError):
    """The dead-letter queue took or gave no message."""


class EngineError(GataError):
    """The engine that builds features and training rows (a Spark cluster) is unavailable or failed."""


class RegistryError(GataError):
    """The schema registry did not respond, or not as one does: nothing is known about the message or schema."""


class BrokerError(GataError):
    """The Kafka brokers did not respond, or refused messages; `topic` is the one that this is about, if it is one."""

    def __init__(self, message: str, *, topic: str | None = None) -> None:
        super().__init__(message)
        self.topic = topic


class TrackingError(GataError):
    """MLflow did not respond, or refused something; `is_of_dataset` if others may be taken all the same."""

    def __init__(self, message: str, *, is_of_dataset: bool = False) -> None:
        super().__init__(message)
        self.is_of_dataset = is_of_dataset


class PartitionStoppedError(GataError):
    """A partition cannot be read on: what follows cannot be stored, or the broker has deleted `lost` offsets of it."""

    def __init__(self, message: str, lost: int) -> None:
        super().__init__(message)
        self.lost = lost


class OnlineError(GataError):
    """Redis did not respond, refused, or lacks what was written to it; `is_transient` if the same may succeed later."""

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class NotPublishedError(OnlineError):
    """No version of the tenant's tickets is published: none was yet, or the last one expired."""


class VersionGoneError(OnlineError):
    """The version that is read was superseded and removed, or expired; a newer one may be there."""


class OutrunError(OnlineError):
    """A publisher with newer tickets was faster: its version stays, and the own one was removed."""
