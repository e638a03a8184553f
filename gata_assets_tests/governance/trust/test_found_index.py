"""What a walk has found, on disk. Real: the file. The oracle is a dictionary."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from gata_assets.curation.reports import Span
from gata_assets.errors import StoreError
from gata_assets.governance.trust import found_index
from gata_assets.governance.trust.found_index import FoundIndex, Indexed
from gata_assets.governance.trust.names import Name, Role
from gata_assets.storage.objects import ABSENT, Version


def test_every_key_is_there_once_with_its_names_however_many_there_are(tmp_path: Path) -> None:
    count = 2 * found_index._AT_ONCE + 1
    random = Random(3)
    listed = [(f"acme/{number:07}", Version(f"v{number}")) for number in range(count)]
    spans = (Span(0, 3), Span(9, 1))
    names = [
        Name(
            f"acme/{number:07}", Role.PART, "a" * 64, None, number, spans if number % 2 else (), by="b", by_version="1"
        )  # type: ignore[arg-type]
        for number in range(7, count + 7)
    ]
    random.shuffle(listed)
    random.shuffle(names)
    with closing(FoundIndex(tmp_path)) as index:
        index.add_listed(iter(listed))
        assert list(index.listed_keys()) == sorted(key for key, _ in listed)
        index.add_names(iter(names))
        index.add_names([Name("acme/0000009", Role.RAW, version="x")])
        index.complete()
        found = list(index.all())
    versions, by_key = dict(listed), {name.key: name for name in names}
    assert [one.key for one in found] == sorted({*versions, *by_key})
    for one in found:
        expected = [by_key[one.key]] if one.key in by_key else []
        expected += [Name(one.key, Role.RAW, version="x")] if one.key == "acme/0000009" else []
        assert one == Indexed(one.key, versions.get(one.key, ABSENT), tuple(expected))


def test_keys_are_in_the_order_of_a_listing(tmp_path: Path) -> None:
    keys = ["a/b", "a-b", "a/é", "a/\udcff", "a/z", "a/\U0001f600", "a/\uffff"]
    with closing(FoundIndex(tmp_path)) as index:
        index.add_listed((key, Version("1")) for key in keys)
        index.complete()
        # Names that are no UTF-8 come last, as bytes do.
        assert [one.key for one in index.all()] == sorted(keys, key=lambda key: key.encode(errors="surrogateescape"))


def test_an_index_without_a_place_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="TMPDIR"):
        FoundIndex(tmp_path / "none")
