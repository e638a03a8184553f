"""The map of label names in the target: one object, which is replaced only by a map that has grown from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gata_assets.errors import ConflictError, DamagedTableError, ManifestVersionError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.tickets.labels.label_map import LabelMap

LABELS_KEY = "training/labels.json"
# How often names are added again because others add some; each time one of them succeeds.
_MOST_ATTEMPTS = 20


class StoredLabels:
    """The labels of a target.

    Ids that were read once are kept, since they never change. Two commands that add names at once add them one after
    the other: a conditional write replaces the version that was read, or is tried again from the present one.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._map = LabelMap()

    def names(self) -> Mapping[int, str]:
        """See LabelIds; raises DamagedTableError or StoreError."""
        return self._read()[0].names

    def ids_of(self, names: Iterable[str]) -> Mapping[str, int]:
        """See LabelIds.

        Raises:
            DataRuleError: The names cannot be those of labels; none was added.
            ConflictError: Other commands keep adding names.
            StoreError: The target failed, or has a map that is damaged or of a later release.
        """
        asked = set(names)
        if asked <= set(self._map.names.values()):
            return self._map.ids()
        for _ in range(_MOST_ATTEMPTS):
            present, version = self._read()
            grown = present.grown(asked)
            try:
                if grown is not present:
                    self._store.write(LABELS_KEY, grown.encode(), expected=version)
            except ConflictError:
                continue
            self._map = grown
            return grown.ids()
        raise ConflictError(
            f"{self._store.uri(LABELS_KEY)} could not be written: other commands add labels. Run it again later."
        )

    def _read(self) -> tuple[LabelMap, Version]:
        try:
            content, version = self._store.read_versioned(LABELS_KEY)
        except ObjectNotFoundError:
            return LabelMap(), ABSENT
        try:
            return LabelMap.decode(content), version
        except (DamagedTableError, ManifestVersionError) as error:
            raise type(error)(
                f"{self._store.uri(LABELS_KEY)} {error}. Ids of labels are never given twice, so nothing replaces it: "
                "restore it from a copy, or from `label_names` in the manifests."
            ) from None
