"""The tenant whose people are erased: days of interactions, batches, pages of tickets, by the project's commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.processes import IMAGE_VARIABLES, run_gata
from gata_assets.sandbox.lake.pages import export_pages
from gata_assets.sandbox.lake.stories import LakeParameters

TENANT = "bench"
_END = datetime(2026, 4, 1, tzinfo=UTC)
_ITEMS = 5_000
VARIABLES = {
    "TENANTS": TENANT,
    "LAKE_TENANTS": TENANT,
    "FIRST_BATCH_ID": "2025010100",
    "TARGET_DIR": "data",
    # A batch is of one day, so that thirty are prepared in minutes.
    "INTERACTION_PERIOD": "1",
    "PRIVACY_KEYS": f"1:{'5e' * 32}",
    **IMAGE_VARIABLES,
}


@dataclass(frozen=True)
class World:
    """How large it is: rows of a day, days, batches, and tickets, each with several versions."""

    rows: int
    days: int
    batches: int
    tickets: int

    @property
    def lake(self) -> LakeParameters:
        """The tickets; the same people as those of interactions, whose IDs are in no other numbers."""
        return LakeParameters(tickets=self.tickets, days=30, sentences=6, first_requester=7_300_000_000)

    def people(self, count: int) -> list[str]:
        """So many people, the same for the same number."""
        found = np.random.default_rng(11).choice(np.array(self.lake.requesters), count, replace=False)
        return [str(person) for person in found]

    def build(self, directory: Path) -> int:
        """Write it into a target in a directory; returns how many versions of tickets there are."""
        raw = directory / "delivered"
        raw.mkdir(parents=True)
        items = "".join(f"item_{number:06d},An item\n" for number in range(_ITEMS))
        (raw / "items.csv").write_text(f"item_id,title\n{items}")
        self._ingest(directory, "items", raw / "items.csv")
        days = [_END - timedelta(days=back) for back in range(self.days, 0, -1)]
        for number, day in enumerate(days):
            path = raw / f"interactions-{day:%Y-%m-%d}.csv"
            self._write_day(path, day, number)
            self._ingest(directory, "interactions", path)
            path.unlink()
        pages = raw / "pages"
        pages.mkdir()
        versions = 0
        for number, content in enumerate(export_pages(self.lake)):
            (pages / f"page-{number:05}.json").write_bytes(content)
            versions += content.count(b'"generated_timestamp"')
        self._ingest(directory, "tickets", pages)
        first, last = days[-self.batches] + timedelta(days=1), _END
        run_gata("backfill", f"{first:%Y%m%d%H}", f"{last:%Y%m%d%H}", "--every", "24h", "--only", "interactions",
                 directory=directory, variables=VARIABLES)  # fmt: skip
        run_gata("prepare", f"{last:%Y%m%d%H}", "--only", "lake", directory=directory, variables=VARIABLES)
        return versions

    def _write_day(self, path: Path, day: datetime, seed: int) -> None:
        rng = np.random.default_rng([7, seed])
        people = self.lake.requesters
        seconds = int(day.timestamp()) + np.sort(rng.integers(0, 86_400, self.rows))
        pl.DataFrame(
            {
                "user_id": people.start + (rng.zipf(1.2, self.rows) - 1) % len(people),
                "item_id": pl.Series((rng.zipf(1.3, self.rows) - 1) % _ITEMS),
                "interaction_type": pl.Series(["view", "click", "purchase"]).gather(rng.integers(0, 3, self.rows)),
                "timestamp": seconds,
            }
        ).with_columns(
            item_id=pl.format("item_{}", pl.col("item_id").cast(pl.String).str.zfill(6)),
            timestamp=pl.from_epoch("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ).write_csv(path)

    @staticmethod
    def _ingest(directory: Path, table: str, path: Path) -> None:
        run_gata("ingest", table, str(path), "--tenant", TENANT, directory=directory, variables=VARIABLES)
