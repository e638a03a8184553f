"""The registered sources of webhooks, below `ingestion/webhooks/`: added, found, listed, removed.

Services read all of them at most once in `cached_seconds`, whatever names are asked for: so a name that somebody
guesses costs the store nothing, and a change counts within that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError, WebhookError
from gata_assets.ingestion.webhooks.source import (
    WebhookSource,
    decode_source,
    encode_source,
    is_source_name,
    require_sound,
)
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order

WEBHOOKS = "ingestion/webhooks/"
CACHED_SECONDS = 5.0
_ENDING = ".json"
_Entry = WebhookSource | DamagedTableError


class WebhookStore:
    """The sources below `ingestion/webhooks/`; safe for several threads."""

    def __init__(
        self, store: ObjectStore, clock: Callable[[], datetime], *, cached_seconds: float = CACHED_SECONDS
    ) -> None:
        """`clock` gives the present instant in UTC."""
        self._store, self._clock, self._cached = store, clock, timedelta(seconds=cached_seconds)
        self._read_at: datetime | None = None
        self._found: Mapping[str, _Entry] = {}
        self._lock = Lock()

    def add(self, source: WebhookSource, *, replaces: bool = False) -> None:
        """Register a source, or with `replaces` put it in place of the one with its name.

        Raises:
            WebhookError: It cannot be registered, there is one with its name, or none that it could replace.
            StoreError: The target failed.
        """
        require_sound(source)
        place = _place(source.name)
        expected = self._store.version(place) if replaces else ABSENT
        if replaces and expected == ABSENT:
            raise self._unknown(source.name)
        try:
            self._store.write(place, encode_source(source), expected=expected, is_private=True)
        except ConflictError:
            raise WebhookError(
                f"{self._store.uri(place)} is there already, or was changed meanwhile: `gata webhooks list` shows it. "
                "--replace registers the source anew."
            ) from None

    def remove(self, name: str) -> None:
        """Remove a source, damaged or not; raises WebhookError if there is none, or StoreError."""
        if not is_source_name(name) or not self._store.exists(_place(name)):
            raise self._unknown(name)
        self._store.delete(_place(name))

    def list(self) -> Sequence[WebhookSource]:
        """All sources by name; raises DamagedTableError or StoreError."""
        found = []
        for _, entry in self._entries():
            if isinstance(entry, DamagedTableError):
                raise entry
            found.append(entry)
        return sorted(found, key=lambda source: source.name)

    def find(self, name: str) -> WebhookSource | None:
        """The source with this name, as it was within `cached_seconds`; None if there is none.

        Raises:
            DamagedTableError: Its record is damaged; other sources work.
            StoreError: The target failed.
        """
        with self._lock:
            now = self._clock()
            # A clock that was set back makes nothing fresh.
            if self._read_at is None or not timedelta(0) <= now - self._read_at < self._cached:
                self._found, self._read_at = dict(self._entries()), now
            entry = self._found.get(name)
        if isinstance(entry, DamagedTableError):
            raise entry
        return entry

    def _entries(self) -> Iterator[tuple[str, _Entry]]:
        keys = (key for key in self._store.list_keys(WEBHOOKS) if key.endswith(_ENDING))
        yield from (found for found in map_in_order(self._read, keys, SMALL_CALLS_AT_ONCE) if found)

    def _read(self, place: str) -> tuple[str, _Entry] | None:
        name = place.removeprefix(WEBHOOKS).removesuffix(_ENDING)
        with suppress(ObjectNotFoundError):
            try:
                source = decode_source(self._store.read(place))
                if source.name != name:
                    raise ValueError("its name is another")
            except ValueError as error:
                return name, DamagedTableError(
                    f"{self._store.uri(place)} is damaged ({error}): nothing is taken from it. Restore it, or register "
                    "the source anew (`gata webhooks add … --replace`).",
                    key=place,
                )
            return name, source
        return None

    def _unknown(self, name: str) -> WebhookError:
        return WebhookError(
            f"There is no source {name[:40]} in {self._store.uri(WEBHOOKS)}: `gata webhooks list` shows those that "
            "there are."
        )


def _place(name: str) -> str:
    return f"{WEBHOOKS}{name}{_ENDING}"
