"""Errors of what somebody gave: settings, declarations, keys, rows, messages; and of where tickets come from."""

from __future__ import annotations

from gata_assets.errors.base import GataError


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
    """A raw file's format, columns or encoding is invalid; the message goes on behind the file's name."""


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


class EventError(GataError):
    """An event is not the notice of an object: a field is missing, or it is no JSON."""


class SchemaError(GataError):
    """A schema is no Avro schema, or one that is not used here."""


class IncompatibleSchemaError(SchemaError):
    """A schema clashes with versions that are registered; nothing was registered."""


class MessageError(GataError):
    """A message cannot be read or written as a row of its table; another try ends as this one did."""


class UnknownSchemaError(MessageError):
    """A message was written by a schema that the registry does not have."""
