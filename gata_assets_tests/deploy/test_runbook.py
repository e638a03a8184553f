"""docs/runbook.md: its messages are the program's. Real: the page, and the program's source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SOURCE = "\n".join(path.read_text() for path in (ROOT / "gata_assets").rglob("*.py"))


@pytest.mark.parametrize(
    "message",
    [
        "and nothing was written.",
        "no ticket was closed in",
        "The Aurora cluster was still resuming after",
        "The RDS Data API refused a statement: ",
        "The database's secret (DB_SECRET_ARN) cannot be read: ",
        "the stored table was built with",
        "the role needs s3:DeleteObject",
        "Wrong settings:",
        "is no complete segment of events",
        "is missing, and segments behind it are there",
        "does not say how far the stream is rolled up",
        "ROLL_UP_FAILED",
        "BATCH_FAILED",
        "BROKERS_AWAY",
        "BROKERS_BACK",
        "BROKER_FAILED",
        "PRODUCING_WAITS",
        "PRODUCING_AGAIN",
        "REGISTRY_AWAY",
        "PARTITION_STOPPED",
        "PARTITION_STARTED",
        "PARTITION_LEFT",
        "HTTP_REQUEST",
        "schema clashes with",
        "unknown_schema",
        "no_avro_of_the_table",
        "are under a legal hold",
        "whoever asked was cut off before the ids were stored",
        "is not the request that was stored there",
    ],
)
def test_the_messages_of_the_runbook_are_the_programs(message: str) -> None:
    assert message.strip() in RUNBOOK
    # A message may be put together from pieces, and a name stand in one of them.
    pieces = ["needs ", "s3:DeleteObject"] if "role needs" in message else [message]
    assert all(piece in SOURCE for piece in pieces)


def test_the_metrics_of_the_runbook_are_the_programs() -> None:
    metrics = {name.removesuffix("_total") for name in re.findall(r"\bgata_[a-z]+_[a-z_]+", RUNBOOK)}
    assert len(metrics) > 8
    assert {name for name in metrics if f'"{name}"' not in SOURCE} == set()


def test_every_part_says_how_one_notices_what_to_do_and_when_it_is_over() -> None:
    parts = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
    troubles = [part for part in parts if not part.startswith(("Where to look", "What is kept"))]
    assert len(troubles) == 25
    assert [part.splitlines()[0] for part in troubles if "*It is over*" not in part] == []
