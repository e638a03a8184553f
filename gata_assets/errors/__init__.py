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
    ├── OwnStoreError           a store of the user's own failed
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
        ├── ArchivedError        an object has to be restored before it can be read
        ├── DamagedTableError
        ├── AccessDeniedError
        ├── DeleteDeniedError
        ├── ConflictError       another command changed it meanwhile
        │   └── RawFileChangedError   a raw file changes while it is read
        ├── TooManyEventsError  more events wait to be stored than may
        ├── CatalogError        a table of the catalog differs from what it should be
        └── ManifestVersionError   a later release wrote it

Messages report what, where, how many and what to do; never ticket text, ids of people or secrets.
"""

from __future__ import annotations

from gata_assets.errors.base import (
    GataError,
)
from gata_assets.errors.data import (
    BatchIdError,
    ChecksFailedError,
    DatabaseResumingError,
    DatabaseStillResumingError,
    DataRuleError,
    EventError,
    HeldPeopleError,
    IncompatibleSchemaError,
    MappingError,
    MaskingKeyError,
    MessageError,
    NoTicketsError,
    OtherPeopleError,
    PrivacyKeyError,
    RawFileError,
    SchemaError,
    SettingsError,
    SourceError,
    SplitError,
    TableSpecError,
    UnknownSchemaError,
)
from gata_assets.errors.services import (
    AlertError,
    ApiKeyError,
    BatchesFailedError,
    BrokerError,
    EngineError,
    IdempotencyError,
    NotPublishedError,
    OnlineError,
    OutrunError,
    OwnStoreError,
    PartitionStoppedError,
    ProcessLostError,
    QueueError,
    RegistryError,
    ServiceAwayError,
    ServiceError,
    ServiceRefusedError,
    TrackingError,
    VersionGoneError,
    WebhookError,
    WebhookSignatureError,
)
from gata_assets.errors.storage import (
    AccessDeniedError,
    ArchivedError,
    CatalogError,
    ConflictError,
    DamagedTableError,
    DeleteDeniedError,
    ManifestVersionError,
    ObjectNotFoundError,
    RawFileChangedError,
    StoreError,
    TooManyEventsError,
)

__all__ = [
    "AccessDeniedError",
    "AlertError",
    "ApiKeyError",
    "ArchivedError",
    "BatchIdError",
    "BatchesFailedError",
    "BrokerError",
    "CatalogError",
    "ChecksFailedError",
    "ConflictError",
    "DamagedTableError",
    "DataRuleError",
    "DatabaseResumingError",
    "DatabaseStillResumingError",
    "DeleteDeniedError",
    "EngineError",
    "EventError",
    "GataError",
    "HeldPeopleError",
    "IdempotencyError",
    "IncompatibleSchemaError",
    "ManifestVersionError",
    "MappingError",
    "MaskingKeyError",
    "MessageError",
    "NoTicketsError",
    "NotPublishedError",
    "ObjectNotFoundError",
    "OnlineError",
    "OtherPeopleError",
    "OutrunError",
    "OwnStoreError",
    "PartitionStoppedError",
    "PrivacyKeyError",
    "ProcessLostError",
    "QueueError",
    "RawFileChangedError",
    "RawFileError",
    "RegistryError",
    "SchemaError",
    "ServiceAwayError",
    "ServiceError",
    "ServiceRefusedError",
    "SettingsError",
    "SourceError",
    "SplitError",
    "StoreError",
    "TableSpecError",
    "TooManyEventsError",
    "TrackingError",
    "UnknownSchemaError",
    "VersionGoneError",
    "WebhookError",
    "WebhookSignatureError",
]
