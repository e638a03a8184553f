"""The header that names where a message comes from.

Real: a directory. Nothing is faked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gata_assets.errors import DamagedTableError
from gata_assets.ingestion.kafka.origin import ORIGIN_HEADER, TARGET_KEY, Origin, origin_of, target_id
from gata_assets.storage.local import LocalStore

ORIGIN = Origin("0123456789abcdef", "file/acme/interactions/20260101-abc.csv", 17)


def test_an_origin_comes_back_from_its_header() -> None:
    assert origin_of([("other", b"x"), ORIGIN.header]) == ORIGIN


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"http/00@7", b"0123456789abcdef:http/00000000000000aa@-1"])
def test_another_producers_header_names_no_origin(value: bytes | None) -> None:
    assert origin_of([(ORIGIN_HEADER, value)]) is None
    assert origin_of(None) is None


def test_a_target_keeps_its_identity_and_two_targets_have_two(tmp_path: Path) -> None:
    one, other = LocalStore(str(tmp_path / "a")), LocalStore(str(tmp_path / "b"))

    assert target_id(one) == target_id(one)
    assert target_id(one) != target_id(other)


def test_a_damaged_identity_is_not_replaced(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write(TARGET_KEY, b"")

    with pytest.raises(DamagedTableError, match="is not the identity of a target"):
        target_id(store)
