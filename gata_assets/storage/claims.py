"""Writes datasets whose keys are fixed, since their consumers read them without a manifest: claim, write, publish.

A writer claims the dataset by overwriting its manifest with a claim while files are replaced. From then on only it can
change the files: the versions that earlier claimants know no longer exist. The last claimant continues. The proof, also
for the case that S3 assigns a version twice, is in docs/adr/0007-writers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from gata_assets.errors import ConflictError, DeleteDeniedError, StoreError
from gata_assets.storage.datasets import NO_MANIFEST, find_manifest
from gata_assets.storage.objects import ABSENT, Guard, ObjectStore, Version
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest, notes_of, withdrawn

# How often a writer restarts because of others; each time means that one more of them was about to write.
_MOST_ATTEMPTS = 20


class FixedKeysWrite:
    """One write of a folder's files under fixed names."""

    def __init__(
        self, store: ObjectStore, folder: str, names: Sequence[str], *, expected: Version | None = None
    ) -> None:
        """Set up without reading anything.

        Args:
            store: The target.
            folder: The folder of the dataset's manifest.
            names: All file names that the dataset can have below it.
            expected: The version of the manifest that may be replaced, if no other may.
        """
        self._store, self._folder, self._names, self._expected = store, folder, names, expected
        self._key = folder + MANIFEST_FILE
        self._token = token_hex(8)
        self._claim: Version | None = None
        self._seen: dict[str, Version] = {}
        self._kept: set[str] = set()
        self._unresolved: dict[str, set[Version]] = {}

    def run(self, contents: Mapping[str, bytes], manifest: Manifest) -> None:
        """Write files by name, delete those that the dataset no longer has, then write the manifest.

        Raises:
            ConflictError: Another command has claimed the dataset meanwhile, which is to be run again if its settings
                differ; nothing more was changed.
            DeleteDeniedError: The role may not delete files that the dataset no longer has.
            StoreError: The target failed.
        """
        for _ in range(_MOST_ATTEMPTS):
            self._claim_it(contents, manifest)
            try:
                stored = {name: self._store_file(name, content) for name, content in contents.items()}
                stored |= self._remove([name for name in self._names if name not in contents])
            except ConflictError:
                # By a faster writer whose claim has ended, or by a new claimant: claiming again shows which.
                continue
            if self._versions() == stored:
                try:
                    self._store.write(self._key, manifest.encode(**self._notes()), expected=self._claim)
                except ConflictError:
                    raise self._superseded() from None
                return
        raise ConflictError(f"{self._store.uri(self._folder)} is being written by other commands: run it again later.")

    def _claim_it(self, contents: Mapping[str, bytes], manifest: Manifest) -> None:
        """Write the claim with the versions of the files that it will replace, until they match the stored files."""
        for _ in range(_MOST_ATTEMPTS):
            listed = dict(self._store.list_versions(self._folder))
            seen = self._of_files(listed)
            found = find_manifest(self._store, self._folder) if self._key in listed else NO_MANIFEST
            notes = notes_of(found.content)
            claim = notes.get("claim", {})
            if claim.get("token") != self._token:
                if self._claim is not None or self._expected not in (None, found.version):
                    raise self._superseded()
                self._note_unresolved({name: [version] for name, version in claim.get("seen", {}).items()})
            self._note_unresolved(notes.get("unresolved", {}))
            # Before the claim, so that the dataset that is there stays visible.
            for name in self._names:
                if name not in contents and ABSENT in self._unresolved.get(name, set()):
                    raise self._ambiguous(name)
            # A guarding store refuses writers whose claim has ended, whatever version they have seen.
            self._kept = {name for name in contents if self._is_settled(name, contents[name], seen[name])}
            held = {} if self._store.is_guarding else {n: seen[n] for n in self._names if n not in self._kept}
            claim = {"token": self._token, "seen": held}
            try:
                content = withdrawn(manifest.kind, is_made=False, claim=claim, **self._notes())
                self._claim = self._store.write(self._key, content, expected=found.version)
            except ConflictError:
                continue
            if self._store.is_guarding or self._versions() == seen:
                self._seen = seen
                return
        raise ConflictError(f"{self._store.uri(self._folder)} is claimed by other commands: run it again later.")

    def _is_settled(self, name: str, content: bytes, version: Version) -> bool:
        """Whether a file already has its content, under a version that no other writer knows: then it is kept."""
        return version in self._store.versions_of(content) - self._unresolved.get(name, set())

    def _store_file(self, name: str, content: bytes) -> Version:
        """Store a file under a version that no other writer knows."""
        if name in self._kept:
            return self._seen[name]
        avoided = self._unresolved.get(name, set())
        version = self._store.write(self._folder + name, content, unlike=avoided, **self._conditions(name))
        if version in avoided:
            raise self._ambiguous(name)
        return version

    def _remove(self, names: Sequence[str]) -> dict[str, Version]:
        """Ensure that none of these files exists."""
        denied = []
        for name in names:
            try:
                if self._seen[name] != ABSENT:
                    self._store.delete(self._folder + name, **self._conditions(name))
            except DeleteDeniedError as error:
                denied.append(str(error))
        if denied:
            raise DeleteDeniedError(" ".join(denied))
        return dict.fromkeys(names, ABSENT)

    def _conditions(self, name: str) -> dict[str, Any]:
        if self._store.is_guarding:
            return {"guard": Guard(self._key, self._claim or ABSENT)}
        return {"expected": self._seen[name]}

    def _versions(self) -> dict[str, Version]:
        """The present versions of the files."""
        return self._of_files(dict(self._store.list_versions(self._folder)))

    def _of_files(self, listed: Mapping[str, Version]) -> dict[str, Version]:
        return {name: listed.get(self._folder + name, ABSENT) for name in self._names}

    def _note_unresolved(self, versions: Mapping[str, Sequence[str]]) -> None:
        # No writer knows versions of a target that was copied from a bucket into a directory.
        for name, held in () if self._store.is_guarding else versions.items():
            self._unresolved.setdefault(name, set()).update(map(Version, held))

    def _notes(self) -> dict[str, Any]:
        """The notes in every manifest from now on: the versions that writers with superseded claims know."""
        held = {name: sorted(versions) for name, versions in sorted(self._unresolved.items())}
        return {"unresolved": held} if held else {}

    def _superseded(self) -> ConflictError:
        return ConflictError(
            f"Another command has begun to write {self._store.uri(self._folder)} meanwhile, and this one has stopped: "
            "run it again if its settings differ."
        )

    def _ambiguous(self, name: str) -> StoreError:
        return StoreError(
            f"{self._store.uri(self._folder + name)} cannot be written so that an earlier command that was interrupted "
            "could not change it any more. See that no other command writes this batch, delete "
            f"{self._store.uri(self._key)} and run it again."
        )
