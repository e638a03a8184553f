"""What a domain says of its objects beyond manifests and reports: what else they name, how they prove themselves.

Domains are above this room: whoever assembles a walk passes their forms. Each function may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gata_assets.curation.reports import Report
from gata_assets.errors import DamagedTableError
from gata_assets.governance.trust.names import Name
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest

# Raises DamagedTableError, ObjectNotFoundError or StoreError.
NameReader = Callable[[ObjectStore, str], Iterable[Name]]
SelfCheck = Callable[[ObjectStore, str], None]


def _none(*_: object) -> None:
    return None


def _empty(*_: object) -> Iterator[Name]:
    return iter(())


def _no_fault(_: ObjectStore) -> Iterator[DamagedTableError]:
    return iter(())


@dataclass(frozen=True)
class Forms:
    """The forms of one domain.

    Attributes:
        of_manifest: What a manifest names besides its files, by its key and content.
        of_report: What a report names besides its raw file and parts, by its key and content.
        reader_of: For the key of an object that names others, what reads that; None for other keys.
        check_of: For the key of an object that nothing names and that proves itself, what checks it; None for others.
        faults: The faults of the whole, which no single object shows, such as a gap in a chain.
    """

    of_manifest: Callable[[str, Manifest], Iterable[Name]] = _empty
    of_report: Callable[[str, Report], Iterable[Name]] = _empty
    reader_of: Callable[[str], NameReader | None] = _none
    check_of: Callable[[str], SelfCheck | None] = _none
    faults: Callable[[ObjectStore], Iterator[DamagedTableError]] = _no_fault
