"""Every error that the project raises on purpose.

    GataError
    ├── SettingsError           a setting is missing or invalid
    ├── BatchIdError            the batch ID is malformed, in the future or before the first batch
    ├── SourceError             the ticket database cannot be read
    │   ├── NoTicketsError      it can be read, but the window is empty
    │   ├── DatabaseResumingError        it is resuming from a pause, and the caller does not wait
    │   └── DatabaseStillResumingError   it is resuming, and the caller's wait timed out
    ├── DataRuleError           the data breaks a table's rule
    │   ├── ChecksFailedError   an asset's blocking checks failed
    │   ├── RawFileError        a raw file cannot be parsed as a table
    │   ├── HeldPeopleError     people who are to be erased are under a legal hold
    │   ├── OtherPeopleError    a request about people is of others than before
    │   └── SplitError          the tickets cannot be split into train and test
    ├── TableSpecError          a table is declared in a way that cannot be used
    ├── MappingError            a mapping of raw files does not fit its table
    ├── MaskingKeyError         the key that masks personal data cannot be used
    ├── PrivacyKeyError         who was erased cannot be known without a key
    ├── ApiKeyError             an API key cannot be made as asked, or there is none
    ├── IdempotencyError        a request cannot be made idempotent
    ├── WebhookError            a source of webhooks cannot be registered or verified as things are
    │   └── WebhookSignatureError   a request is not signed by a secret of its source, or too long ago
    ├── ServiceError            the HTTP service did not do what a client asked it
    │   ├── ServiceRefusedError   it refused: the same request again would be refused again
    │   ├── ServiceAwayError      it did not answer in time, or only that it cannot now
    │   └── BatchesFailedError    batches were refused or not answered; the client has them
    ├── ProcessLostError        the process that works on rows ended before it was done: ask again
    ├── AlertError              an alert could not be delivered
    ├── EngineError             the Spark cluster is unavailable or failed
    ├── SchemaError             a schema is no Avro schema that is used here
    │   └── IncompatibleSchemaError   it clashes with versions that are registered
    ├── MessageError            a message is none of its table: it goes to quarantine
    ├── RegistryError           the schema registry cannot be asked now: ask again
    ├── BrokerError             Kafka did not respond, or refused messages
    ├── OnlineError             Redis did not respond, refused, or does not have what was written to it
    │   ├── NotPublishedError     it has no published version of the tenant's tickets
    │   ├── VersionGoneError      the version that is read was superseded and removed, or expired
    │   └── OutrunError           a publisher with newer tickets was faster; nothing was replaced
    ├── TrackingError           MLflow did not respond, or refused a dataset
    └── StoreError              the target cannot be read, written or deleted
        ├── ObjectNotFoundError
        ├── DamagedTableError
        ├── DeleteDeniedError
        ├── ConflictError       another command changed it meanwhile
        │   └── RawFileChangedError   a raw file changes while it is read
        ├── TooManyEventsError  more events wait to be stored than may
        ├── CatalogError        a table of the catalog differs from what it should be
        └── ManifestVersionError   a later release wrote it

Messages report what, where, how many and what to do; never ticket text, ids of people or secrets.
"""

from __future__ import annotations

from collections.abc import Mapping


class GataError(Exception):
    """The base of all errors raised on purpose."""


class SettingsError(GataError):
    """A setting is missing or has an invalid value."""


class TableSpecError(GataError):
    """A table's declaration is unknown in part or contradicts itself."""


class MappingError(GataError):
    """A mapping of raw files is no mapping, or does not fit its table."""


class MaskingKeyError(GataError):
    """The key that masks personal data is too short."""


class BatchIdError(GataError):
    """A batch ID is malformed, in the future or before the first batch."""


class SourceError(GataError):
    """The ticket database could not be read."""


class NoTicketsError(SourceError):
    """No ticket was closed in the window."""


class DatabaseResumingError(SourceError):
    """The database is resuming from a pause, and the caller does not wait for it."""


class DatabaseStillResumingError(SourceError):
    """The database did not resume before the timeout."""


class DataRuleError(GataError):
    """Rows break their table's rules; nothing was written downstream."""


class ChecksFailedError(DataRuleError):
    """An asset's blocking checks failed; `checks` lists their names."""

    def __init__(self, message: str, checks: tuple[str, ...]) -> None:
        super().__init__(message)
        self.checks = checks


class RawFileError(DataRuleError):
    """A raw file's format, columns or encoding is invalid; the message continues a sentence about it."""


class SplitError(DataRuleError):
    """A label's tickets cannot be split into train and test; `label` is the one that shares its texts with others."""

    def __init__(self, message: str, *, label: int | None = None) -> None:
        super().__init__(message)
        self.label = label


class HeldPeopleError(DataRuleError):
    """People who are to be erased are under a legal hold."""


class OtherPeopleError(DataRuleError):
    """A request about people has the name of one that is of other people."""


class PrivacyKeyError(GataError):
    """People were erased under a key that is not set, so that their rows cannot be left out."""


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


class EventError(GataError):
    """An event is not the notice of an object: a field is missing, or it is no JSON."""


class QueueError(GataError):
    """The dead-letter queue took or gave no message."""


class EngineError(GataError):
    """The engine that builds features and training rows (a Spark cluster) is unavailable or failed."""


class SchemaError(GataError):
    """A schema is no Avro schema, or one that is not used here."""


class IncompatibleSchemaError(SchemaError):
    """A schema clashes with versions that are registered; nothing was registered."""


class MessageError(GataError):
    """A message cannot be read or written as a row of its table; another try ends as this one did."""


class UnknownSchemaError(MessageError):
    """A message was written by a schema that the registry does not have."""


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


class StoreError(GataError):
    """The target could not be read or written."""


class ObjectNotFoundError(StoreError):
    """No object exists under this key."""


class DamagedTableError(StoreError):
    """An object exists but is not a complete table of this project; `key` is the object's key in a dataset."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class AccessDeniedError(StoreError):
    """The role lacks permission for what it did to the target."""


class DeleteDeniedError(StoreError):
    """The role lacks permission to delete an object."""


class ConflictError(StoreError):
    """Another command changed an object that was to be changed under a condition; nothing was changed here."""


class RawFileChangedError(ConflictError):
    """A raw file changed each time that it was read, or is no regular file any more; it is left to the next run."""


class TooManyEventsError(StoreError):
    """So many events wait to be stored that no more are taken; nothing was stored, and later there is room again."""


class CatalogError(StoreError):
    """A table of the catalog is not the one that was to be written, or cannot become it."""


class ManifestVersionError(StoreError):
    """A later release wrote a dataset; this release can neither read it nor know what it would overwrite."""
