"""Who was erased, without saying who: digests of their ids, and until when their rows do not count.

A digest is HMAC-SHA256 (RFC 2104) of an id by a key of its tenant, which is derived from a key with a version: what was
erased under an old key stays erased. An id is looked up by its mark first, 20 bits of its 64-bit key
(`columns.hashing`), so that few digests are computed: the price is that of distinct ids, whatever the number of rows.
Marks are stored encrypted, since 20 bits would tell much of who is one of few: XOR with bits of the HMAC of the digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

import numpy as np
import polars as pl

from gata_assets.tables.columns.arrays import Bools, Int64s, UInt64s
from gata_assets.tables.columns.arrow_buffers import micros
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.people.owners import lookups
from gata_assets.tables.people.privacy_keys import (
    MARKS,
    NO_PRIVACY_KEYS,
    Digest,
    PrivacyKeys,
    Tombstones,
    digest_of,
    pad_of,
)
from gata_assets.tables.spec import TableSpec

# Before all instants: of who was not erased.
NEVER = np.iinfo(np.int64).min


class ErasedPeople:
    """The people of a tenant who were erased, and the rows of theirs that rows of other tables belong to."""

    def __init__(
        self,
        tenant: str,
        keys: PrivacyKeys,
        stones: Iterable[Tombstones],
        rows: Mapping[str, Iterable[Tombstones]] | None = None,
    ) -> None:
        """`rows` are of the keys of such rows, by table, which never count again.

        Raises PrivacyKeyError if a key is missing, since who was erased could not be left out then.
        """
        by_key: dict[bytes, dict[bytes, int]] = {}
        marks = []
        for stone in stones:
            key, limit = keys.of_tenant(tenant, stone.key_version), micros(stone.erased_at)
            known = by_key.setdefault(key, {})
            for person in (*stone.people, *stone.tokens):
                digest = bytes.fromhex(person.digest)
                known[digest] = max(limit, known.get(digest, NEVER))
                marks.append(person.mark ^ pad_of(key, digest))
        self._known = list(by_key.items())
        self._is_marked = np.zeros(MARKS if marks else 0, dtype=np.bool_)
        self._is_marked[marks] = True
        self.rows = {table: ErasedPeople(tenant, keys, of_table) for table, of_table in (rows or {}).items()}

    @property
    def digest(self) -> str:
        """Digits that differ if other people were erased."""
        people = sorted((digest.hex(), limit) for _, known in self._known for digest, limit in known.items())
        rows = [(table, self.rows[table].digest) for table in sorted(self.rows)]
        return sha256(repr((people, rows) if rows else people).encode()).hexdigest()

    def __bool__(self) -> bool:
        return bool(self._known or self.rows)

    def limits(self, ids: pl.Series, keys: UInt64s | None = None) -> Int64s:
        """For each of distinct ids, the instant (microseconds since 1970, UTC) up to which rows do not count.

        Args:
            ids: Texts without null.
            keys: Their 64-bit keys, if they are known.

        Returns:
            `NEVER` for who was not erased.
        """
        found = np.full(len(ids), NEVER, dtype=np.int64)
        if self._known and len(ids):
            candidates = np.flatnonzero(self._is_marked[_marks(hash_ids(ids).to_numpy() if keys is None else keys)])
            for place, text in zip(candidates.tolist(), ids.gather(candidates).to_list(), strict=True):
                found[place] = max(known.get(digest_of(key, text), NEVER) for key, known in self._known)
        return found

    def includes(self, one: str) -> bool:
        """Whether an id is that of somebody who was erased."""
        return bool(self.limits(pl.Series([one], dtype=pl.String))[0] != NEVER)

    def are_erased(self, ids: pl.Series, instants: pl.Series | None) -> Bools | None:
        """Which rows are of people who were erased; None if none is.

        Args:
            ids: The person of each row, null for nobody.
            instants: When each happened; rows without an instant, and all rows without instants, never count.
        """
        distinct = ids.cast(pl.String).drop_nulls().unique()
        limits = self.limits(distinct)
        hits = np.flatnonzero(limits != NEVER)
        if not len(hits):
            return None
        until = pl.Series(limits[hits])
        limit = ids.cast(pl.String).replace_strict(distinct.gather(hits), until, default=None, return_dtype=pl.Int64)
        is_erased = limit.is_not_null()
        if instants is not None:
            is_erased &= (instants.cast(pl.Datetime("us", "UTC")).to_physical() <= limit).fill_null(value=True)
        return is_erased.to_numpy() if is_erased.any() else None

    def rows_of(self, spec: TableSpec, rows: pl.DataFrame) -> Bools | None:
        """Which rows of a table are of people who were erased, by all of its columns that name one, or a row of theirs;
        None if none is.
        """
        found: Bools | None = None
        happened_at = rows[spec.event_time] if spec.event_time in rows.columns else None
        for column, table in lookups(spec, rows.columns):
            erased, instants = (self, happened_at) if table is None else (self.rows.get(table), None)
            of_column = erased.are_erased(rows[column], instants) if erased else None
            if of_column is not None:
                found = of_column if found is None else found | of_column
        return found

    def without(self, spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of a table that are not of people who were erased."""
        found = self.rows_of(spec, rows)
        return rows if found is None else rows.filter(~pl.Series(found))


def nobody(tenant: str) -> ErasedPeople:
    """Of a tenant of whom nobody was erased."""
    return ErasedPeople(tenant, NO_PRIVACY_KEYS, ())


def digest_people(keys: PrivacyKeys, tenant: str, version: int, ids: pl.Series) -> list[Digest]:
    """The digests of distinct ids, in their order; raises PrivacyKeyError without the key of the version."""
    key, marks = keys.of_tenant(tenant, version), _marks(hash_ids(ids).to_numpy())
    digests = [digest_of(key, text) for text in ids.to_list()]
    return [Digest(own.hex(), mark ^ pad_of(key, own)) for own, mark in zip(digests, marks.tolist(), strict=True)]


def _marks(keys: UInt64s) -> Int64s:
    return (keys & np.uint64(MARKS - 1)).astype(np.int64)
