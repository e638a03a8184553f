"""All objects of a target, each with what names it: from one listing, in the order of keys.

What `verification` compares, and what a search for a person's data reads: nothing of the target is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from gata_assets.errors import DamagedTableError, ManifestVersionError, ObjectNotFoundError
from gata_assets.governance.trust.forms import Forms
from gata_assets.governance.trust.found_index import FoundIndex
from gata_assets.governance.trust.namers import Namer, Namers
from gata_assets.governance.trust.names import Name
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order
from gata_assets.storage.scratch import scratch_directory

Listing = Callable[[], Iterator[tuple[str, Version]]]


@dataclass(frozen=True)
class Found:
    """An object: its key, its version as it was listed, and what others say of it.

    The version is ABSENT for a key that is named and was not listed: the object is missing, was deleted since it was
    named, or was written after the listing. `fault` is why it could not be read as what names others.
    """

    key: str
    version: Version
    names: tuple[Name, ...] = ()
    is_namer: bool = False
    fault: DamagedTableError | ManifestVersionError | None = None

    @property
    def sha256(self) -> str | None:
        """The expected SHA-256 of the whole object, if anything says one."""
        return next((name.sha256 for name in self.names if name.sha256 and not name.spans), None)


def walk(store: ObjectStore, forms: Sequence[Forms] = (), *, listed: Listing | None = None) -> Iterator[Found]:
    """Find all objects; memory does not grow with their number.

    Args:
        store: The target.
        forms: Those of the domains that the target may have objects of.
        listed: The objects to be walked; None for all of the store.

    Yields:
        Every listed object and every one that is named, once each, in the order of keys.

    Raises:
        StoreError: The target failed.
    """
    namers = Namers(store, forms)
    with scratch_directory() as folder, closing(FoundIndex(folder)) as index:
        index.add_listed(store.list_versions("") if listed is None else listed())
        faults: dict[str, DamagedTableError | ManifestVersionError] = {}
        index.add_names(_names(namers, index, faults))
        index.complete()
        for key, version, names in index.all():
            is_namer = version != ABSENT and namers.includes(key)
            yield Found(key, version, names, is_namer, faults.get(key))


def _names(
    namers: Namers, index: FoundIndex, faults: dict[str, DamagedTableError | ManifestVersionError]
) -> Iterator[Name]:
    def read(key: str) -> tuple[str, Namer | DamagedTableError | ManifestVersionError | None]:
        try:
            return key, namers.read(key)
        except ObjectNotFoundError:
            # Deleted since it was listed.
            return key, None
        except (DamagedTableError, ManifestVersionError) as error:
            return key, error

    keys = (key for key in index.listed_keys() if namers.includes(key))
    for key, found in map_in_order(read, keys, SMALL_CALLS_AT_ONCE):
        if isinstance(found, Namer):
            yield from found.names
        elif found is not None:
            faults[key] = found
