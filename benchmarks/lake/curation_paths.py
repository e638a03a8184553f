"""The contenders of `curation`: from a folder of pages of tickets to written tables, each run as a process.

Arguments: a function's name, the folder, a folder to warm up with, and a directory; prints seconds of processor time.
Each function imports what it needs, so that a process loads only its own libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_TARGETS = "urgent=60/480,high=240/1440,normal=480/2880,low=-/10080"


def lake(source: Path, target: Path, *, has_language: bool = False) -> None:
    """Landed files, bronze, and days of offline tickets."""
    from gata_assets.curation.files.formats import parse_format
    from gata_assets.curation.landing import Landing
    from gata_assets.curation.policy import CurationRules
    from gata_assets.lake.curator import LakeCurator
    from gata_assets.lake.offline.rules import OfflineRules, SlaTargets
    from gata_assets.lake.tables import TICKETS
    from gata_assets.storage.local import LocalStore
    from gata_assets.tables.masking.tokens import Tokens

    rules = OfflineRules(tokens=Tokens(b"k" * 32), targets=SlaTargets.parse(_TARGETS), has_language=has_language)
    curator = LakeCurator(LocalStore(str(target)), "acme", CurationRules(EARLIEST, timedelta(hours=24)), NOW, rules)
    landing = Landing(curator)
    for path in sorted(source.iterdir()):
        report = landing.land(TICKETS, path.name, path, parse_format(path.name)).report
        assert report.valid == report.rows
    assert all(day.is_written for day in curator.curate(TICKETS, curator.stale(TICKETS)))


def lake_landed(source: Path, target: Path) -> None:
    """Landed files and bronze alone."""
    from gata_assets.curation.files.formats import parse_format
    from gata_assets.curation.landing import Landing
    from gata_assets.curation.policy import CurationRules
    from gata_assets.lake.curator import LakeCurator
    from gata_assets.lake.offline.rules import OfflineRules
    from gata_assets.lake.tables import TICKETS
    from gata_assets.storage.local import LocalStore

    rules = CurationRules(EARLIEST, timedelta(hours=24))
    landing = Landing(LakeCurator(LocalStore(str(target)), "acme", rules, NOW, OfflineRules()))
    for path in sorted(source.iterdir()):
        landing.land(TICKETS, path.name, path, parse_format(path.name))


def lake_with_language(source: Path, target: Path) -> None:
    """As `lake`, and the language of each ticket is detected."""
    lake(source, target, has_language=True)


def pandas_twice(source: Path, target: Path) -> None:
    """All tickets in one file as they came, and once more cleaned by a few calls of pandas."""
    import json

    import pandas as pd

    rows = [ticket for path in sorted(source.iterdir()) for ticket in json.loads(path.read_bytes())["tickets"]]
    table = pd.DataFrame(rows)
    for name in table.select_dtypes("object"):
        table[name] = [json.dumps(value) if isinstance(value, dict | list) else value for value in table[name]]
    table["custom_fields"] = table["custom_fields"].astype(str)
    for name in ("fields", "satisfaction_rating", "via", "tags"):
        table[name] = table[name].astype(str)
    table.to_parquet(target / "bronze.parquet")
    cleaned = pd.read_parquet(target / "bronze.parquet")
    for name in ("subject", "description"):
        plain = cleaned[name].str.replace(r"<[^>]+>", " ", regex=True).str.lower()
        cleaned[name] = plain.str.replace(r"[^a-z0-9?.! ]", " ", regex=True).str.replace(r"\s+", " ", regex=True)
    cleaned["created_at"] = pd.to_datetime(cleaned["created_at"], utc=True)
    cleaned = cleaned.sort_values("generated_timestamp").drop_duplicates("id", keep="last")
    cleaned.to_parquet(target / "offline.parquet")


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    function.__name__: function for function in (lake, lake_landed, lake_with_language, pandas_twice)
}


def main() -> None:
    """Warm up, run and measure."""
    name, source, warm, target = sys.argv[1], *map(Path, sys.argv[2:])
    for folder in ("warm", "measured"):
        (target / folder).mkdir()
    CONTENDERS[name](warm, target / "warm")
    start = process_time()
    CONTENDERS[name](source, target / "measured")
    print(process_time() - start)


if __name__ == "__main__":
    main()
