"""Curated tables of changes that are written as a whole: the latest change of each key, deletes included.

A table whose rows wait for those of another has visible and waiting rows. Which keys flipped since units were judged by
them (there, or not there any more, or known to have existed) is kept until those units are judged again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from gata_assets import __version__
from gata_assets.curation.changes.encoding import decode, encode
from gata_assets.curation.changes.partitions import other_file, visible_file, visible_schema, waiting_file
from gata_assets.curation.curated.erasures import ERASED_BY
from gata_assets.curation.layout import TenantLayout
from gata_assets.storage.datasets import DatasetWrite, find_manifest, read_files
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.tables.changes.declared import COMMITTED_AT, IS_DELETE
from gata_assets.tables.changes.graph import Member
from gata_assets.tables.changes.parents import DELETED_AT, HAS_EXISTED, IS_PRESENT, KEY, look_up, parents_of
from gata_assets.tables.changes.verdicts import PARKED, RULES, SINCE, VERDICT, Clock
from gata_assets.tables.changes.versions import ORDER, PARTITION, live, schema_of
from gata_assets.tables.manifests import Manifest
from gata_assets.tables.people.erased_people import NEVER, ErasedPeople
from gata_assets.tables.spec import TableSpec

_FLIPS = "flips"
# What the file of visible rows leaves out, since it is the same for all of them.
_FLAGS = {IS_DELETE: False, HAS_EXISTED: True}


def flips_file(table: str) -> str:
    """The file of a table's keys that flipped since units were judged by them."""
    return f"{table}_{_FLIPS}.parquet"


@dataclass(frozen=True)
class WholeTable:
    """A stored table: its manifest, the latest change of each key (with whether it ever existed), its flips, and the
    keys of its folder with their versions before it was read.
    """

    manifest: Manifest | None
    latest: pl.DataFrame
    flips: pl.DataFrame
    before: Mapping[str, Version] = field(default_factory=dict)

    @property
    def parts(self) -> Mapping[str, str]:
        """The staged parts that are folded in, by file."""
        return folded_parts(self.manifest)


def folded_parts(manifest: Manifest | None) -> Mapping[str, str]:
    """The staged parts that are folded in, by file."""
    return dict(manifest.made_from["parts"]) if manifest else {}


def latest_schema(spec: TableSpec) -> dict[str, pl.DataType]:
    """The columns of the latest changes of a table."""
    own = {name: kind for name, kind in schema_of(spec).items() if name != PARTITION}
    return {**own, HAS_EXISTED: pl.Boolean()}


def fold(spec: TableSpec, known: pl.DataFrame, changes: list[pl.DataFrame]) -> pl.DataFrame:
    """The latest change of each key, from those that are known and new ones, by key."""
    schema = latest_schema(spec)
    arrived = [frame.with_columns((~pl.col(IS_DELETE)).alias(HAS_EXISTED)).select(*schema) for frame in changes]
    rows = pl.concat([known.select(*schema), *arrived])
    key = list(spec.key)
    is_repeated = rows[key[0]].is_duplicated() if len(key) == 1 else rows.select(key).is_duplicated()
    repeated = rows.filter(is_repeated).sort(*key, *ORDER)
    repeated = repeated.with_columns(pl.col(HAS_EXISTED).any().over(key)).unique(key, keep="last", maintain_order=True)
    return pl.concat([rows.filter(~is_repeated), repeated]).sort(*key)


def find_flips(before: pl.DataFrame, after: pl.DataFrame, column: str) -> pl.DataFrame:
    """The keys that have changed as parents (KEY and IS_PRESENT), by the latest changes: whether they are there,
    whether they ever existed, or when they were deleted.
    """
    then, now = parents_of(before, column), parents_of(after, column)
    changed = now.join(then, on=now.columns, how="anti", nulls_equal=True).select(KEY, IS_PRESENT)
    unknown = then.join(now, on=KEY, how="anti").select(KEY, pl.lit(value=False).alias(IS_PRESENT))
    return pl.concat([changed, unknown])


def without_people(flips: pl.DataFrame, latest: pl.DataFrame, spec: TableSpec, erased: ErasedPeople) -> pl.DataFrame:
    """Flips without erased people who are not there any more: nothing that counts refers to them."""
    key = spec.key[0]
    if not erased or key not in spec.subject_columns:
        return flips
    are_known = flips[KEY].is_in(latest[key].implode())
    return flips.filter(are_known | pl.Series(erased.limits(flips[KEY]) == NEVER))


def judge_children(
    rows: pl.DataFrame, member: Member, parents: Mapping[str, pl.DataFrame], clock: Clock
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The visible and the waiting rows of a table whose rows wait for those of another whole table."""
    found = look_up(live(rows), member, parents)
    visible = found.filter(IS_PRESENT).select(rows.columns)
    absent = found.filter(~pl.col(IS_PRESENT)).with_columns(
        pl.max_horizontal(COMMITTED_AT, DELETED_AT).alias(SINCE), pl.lit([member.rule], pl.List(pl.String)).alias(RULES)
    )
    return visible, clock.judge(absent).select(*rows.columns, SINCE, VERDICT, RULES)


class WholeStore:
    """Reads and writes the whole tables of one tenant."""

    def __init__(self, store: ObjectStore, places: TenantLayout) -> None:
        self._store, self._places = store, places

    def manifest(self, spec: TableSpec) -> Manifest | None:
        """A table's manifest; None without a table. Raises StoreError."""
        return find_manifest(self._store, self._places.curated(spec.table)).manifest

    def read(self, spec: TableSpec, *, as_parent: bool = False) -> WholeTable:
        """A table as it is stored, or only what `parents_of` needs; raises DamagedTableError or StoreError."""
        schema = latest_schema(spec)
        if as_parent:
            schema = {name: schema[name] for name in (spec.key[0], COMMITTED_AT, *_FLAGS)}
        folder = self._places.curated(spec.table)
        before = dict(self._store.list_versions(folder))
        manifest = find_manifest(self._store, folder).manifest
        flips = pl.DataFrame(schema={KEY: pl.String(), IS_PRESENT: pl.Boolean()})
        if manifest is None:
            return WholeTable(None, pl.DataFrame(schema=schema), flips, before)

        def read(name: str, columns: list[str] | None = None) -> pl.DataFrame | None:
            if manifest.find(name) is None:
                return None
            return decode(read_files(self._store, folder, [name], manifest)[0][1], columns)

        found = [pl.DataFrame(schema=schema)]
        flags = (pl.lit(value).alias(name) for name, value in _FLAGS.items())
        if (visible := read(visible_file(spec.table), [name for name in schema if name not in _FLAGS])) is not None:
            found.append(visible.with_columns(flags).select(*schema))
        if (others := read(other_file(spec.table), list(schema))) is not None:
            found.append(others.select(*schema))
        stored_flips = read(flips_file(spec.table))
        return WholeTable(manifest, pl.concat(found), flips if stored_flips is None else stored_flips, before)

    def write(
        self,
        spec: TableSpec,
        latest: pl.DataFrame,
        visible: pl.DataFrame,
        waiting: pl.DataFrame | None,
        flips: pl.DataFrame,
        parts: Mapping[str, str],
        settings: Mapping[str, str],
        clock: Clock,
        before: Mapping[str, Version],
        erased_by: Sequence[str] = (),
    ) -> Manifest:
        """Write a table, replacing the keys that were there `before`; `erased_by` names the requests by which it lacks
        people. Raises ConflictError or StoreError.
        """
        table, own = spec.table, list(visible_schema(spec))
        others = latest.join(visible.select(spec.key), on=list(spec.key), how="anti", maintain_order="left")
        contents = {visible_file(table): (encode(visible.select(own), spec), len(visible))}
        if len(others):
            contents[other_file(table)] = encode(others, spec), len(others)
        if waiting is not None and len(waiting):
            contents[waiting_file(table)] = encode(waiting.select(*own, VERDICT, RULES), spec), len(waiting)
        if len(flips):
            contents[flips_file(table)] = encode(flips, spec), len(flips)
        parked = waiting.filter(pl.col(VERDICT) == PARKED) if waiting is not None else None
        since = parked[SINCE].min() if parked is not None and len(parked) else None
        with DatasetWrite(self._store, self._places.curated(table), before=before) as write:
            files = dict(write.write(name, content, rows) for name, (content, rows) in contents.items())
            manifest = Manifest(
                f"curated_{table}",
                files,
                schema={table: {name: str(kind) for name, kind in spec.curated_schema.items()}},
                settings=dict(settings),
                made_from={"parts": dict(sorted(parts.items()))},
                code_version=__version__,
                details={
                    "rows": {
                        "keys": len(latest),
                        "visible": len(visible),
                        "parked": len(parked) if parked is not None else 0,
                        "quarantined": len(waiting) - len(parked) if waiting is not None and parked is not None else 0,
                    },
                    "oldest_parked_at": since.isoformat() if since else None,  # type: ignore[union-attr]
                    "next_expiry_at": (since + clock.parked).isoformat() if since else None,  # type: ignore[operator, union-attr]
                    **({ERASED_BY: list(erased_by)} if erased_by else {}),
                },
            )
            write.publish(manifest)
        return manifest

    def visible_digest(self, spec: TableSpec) -> str:
        """The SHA-256 of a table's visible rows as they were written; empty without a table. Raises StoreError."""
        manifest = find_manifest(self._store, self._places.curated(spec.table)).manifest
        entry = manifest.find(visible_file(spec.table)) if manifest else None
        return entry[1].sha256 if entry else ""

    def read_waiting(self, spec: TableSpec, columns: list[str] | None = None) -> pl.DataFrame | None:
        """Waiting rows, or some of their columns; None without one. Raises DamagedTableError or StoreError."""
        folder = self._places.curated(spec.table)
        manifest = find_manifest(self._store, folder).manifest
        if manifest is None or manifest.find(waiting_file(spec.table)) is None:
            return None
        [(_, content)] = read_files(self._store, folder, [waiting_file(spec.table)], manifest)
        return decode(content, columns)

    def read_visible(self, spec: TableSpec, columns: list[str]) -> pl.DataFrame:
        """Columns of a table's visible rows; raises DamagedTableError or StoreError."""
        folder = self._places.curated(spec.table)
        manifest = find_manifest(self._store, folder).manifest
        if manifest is None:
            return pl.DataFrame(schema={name: spec.curated_schema[name] for name in columns})
        [(_, content)] = read_files(self._store, folder, [visible_file(spec.table)], manifest)
        return decode(content, columns).select(columns)

    def clear_flips(self, spec: TableSpec, judged: Manifest | None) -> None:
        """Forget which keys flipped, once units are judged by them; nothing happens if the table is not as it was then.

        Raises ConflictError or StoreError.
        """
        folder = self._places.curated(spec.table)
        with DatasetWrite(self._store, folder) as write:
            found = find_manifest(self._store, folder).manifest
            if found is None or found != judged:
                return
            flips = found.find(flips_file(spec.table))
            files = {name: entry for name, entry in found.files.items() if flips is None or name != flips[0]}
            write.publish(replace(found, files=files))
