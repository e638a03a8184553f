"""Ahead-of-time compilation: runs every compiled loop once on a tiny table, so that no batch waits for the compiler.

numba caches compiled code in NUMBA_CACHE_DIR, or next to the sources if they are writable. An image runs this at build
time (`python -m gata_assets.interactions.warm_up`); its processes read that cache from the read-only file system.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import polars as pl

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.curation.validation import validate_block
from gata_assets.interactions.curated.merge import curate_interactions
from gata_assets.interactions.features.events import code_events
from gata_assets.interactions.features.tables import make_features
from gata_assets.interactions.rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.evidence import gather_evidence
from gata_assets.interactions.sampling.samples import sample_rows
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.columns.jit import load_compiler
from gata_assets.tables.row_rules import RowContext


def warm_up() -> None:
    """Validate, curate, hash, encode, sample and check three interactions with each strategy; drop the result."""
    load_compiler()
    _validate()
    ids = pl.Series(["a", "b", "c"])
    keys = hash_ids(ids)
    time = pl.Series([datetime(2026, 1, 1, tzinfo=UTC)] * 3, dtype=pl.Datetime("us", "UTC"))
    events = code_events(
        pl.DataFrame(
            {
                "user_key": keys,
                "item_key": keys,
                "timestamp": time,
                "type_code": pl.Series([InteractionType.CLICK.code] * 3, dtype=pl.UInt8),
                "rating": pl.Series([None] * 3, dtype=pl.Float32),
            }
        ),
        pl.DataFrame({"user_id": ids, "user_key": keys}),
        pl.DataFrame({"item_id": ids, "item_key": keys}),
    )
    items = {"item_id": ids, "category": ids, "price": [1.0] * 3, "available_at": time}
    make_features(events, pl.DataFrame(items), before=datetime(2026, 1, 2, tzinfo=UTC))
    is_available = np.ones(3, dtype=np.bool_)
    for strategy in SamplingStrategy:
        for least in (1, 2):
            rules = SamplingRules(frozenset({InteractionType.CLICK}), least, least, 1, 2, strategy, 1.0, 0)
            rows = sample_rows(events, first=0, is_available=is_available, rules=rules)
            gather_evidence(events, rows, np.ones(3), rules.ratio)
            rows.table(0, len(rows.positives.users))


def _validate() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for table, rows in (
        # With a quote, since other records are read without a loop.
        (INTERACTIONS, b'user_id,item_id,interaction_type,timestamp,rating\n"a",a,click,2026-01-01T00:00:00Z,1\n'),
        (ITEMS, b"item_id,title,category,price,available_at\na,a,a,1,2026-01-01\n"),
    ):
        for block in read_blocks(BytesIO(rows), RawFormat.CSV, TABLES[table]):
            valid = validate_block(TABLES[table], block(), RowContext(), "a").valid
            if table == INTERACTIONS:
                curate_interactions(valid, [start.date()])


if __name__ == "__main__":
    warm_up()
