"""Every error that the project raises on purpose.

    GataError
    ├── SettingsError           a setting is missing or wrong
    ├── BatchIdError            the batch ID is malformed, in the future or before the first
    ├── SourceError             the ticket database cannot be read
    │   ├── NoTicketsError      it can, but the window is empty
    │   ├── DatabaseResumingError        it wakes up from a pause, and was not to be waited for
    │   └── DatabaseStillResumingError   it was waited for, in vain
    ├── DataRuleError           the data breaks a rule of a table
    │   ├── ChecksFailedError   blocking checks of an asset have failed
    │   ├── RawFileError        a raw file cannot be read as a table of its columns
    │   └── SplitError          the tickets cannot be divided into train and test
    ├── TableSpecError          a table is declared otherwise than tables are
    ├── AlertError              what failed could not be reported
    ├── EngineError             what makes features and training rows is not there, or broke off
    └── StoreError              the target cannot be read, written or deleted
        ├── ObjectNotFoundError
        ├── DamagedTableError
        └── DeleteDeniedError

A message says what, where, how many and what to do; never a ticket's text, a person's id or a secret.
"""


class GataError(Exception):
    """The base of all errors raised on purpose."""


class SettingsError(GataError):
    """A setting is missing or has a wrong value."""


class TableSpecError(GataError):
    """A table's declaration says what nobody understands, or contradicts itself."""


class BatchIdError(GataError):
    """A batch ID is malformed, lies in the future or before the first batch."""


class SourceError(GataError):
    """The ticket database could not be read."""


class NoTicketsError(SourceError):
    """No ticket was closed in the window."""


class DatabaseResumingError(SourceError):
    """The database is waking up from a pause, and whoever asked does not wait for it."""


class DatabaseStillResumingError(SourceError):
    """The database did not wake up in the time that it was given."""


class DataRuleError(GataError):
    """Rows break a rule of their table; nothing was written downstream."""


class ChecksFailedError(DataRuleError):
    """Blocking checks of an asset have failed; `checks` names them."""

    def __init__(self, message: str, checks: tuple[str, ...]) -> None:
        super().__init__(message)
        self.checks = checks


class RawFileError(DataRuleError):
    """A raw file cannot be read: its format, its columns or its encoding; the message goes on from the file's name."""


class SplitError(DataRuleError):
    """The tickets of a label cannot be divided into train and test."""


class AlertError(GataError):
    """A report of what failed did not reach where it was sent to."""


class EngineError(GataError):
    """What makes features and training rows (a Spark cluster) is not there, or broke off."""


class StoreError(GataError):
    """The target could not be read or written."""


class ObjectNotFoundError(StoreError):
    """There is no object under this key."""


class DamagedTableError(StoreError):
    """An object is there, and is no table that this project wrote whole; `key` is its own, where it is one of a set."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class DeleteDeniedError(StoreError):
    """The role may not delete an object that has to go."""
