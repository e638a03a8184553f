"""The page docs/reference/outputs.md: what each command prints, as text and as JSON, from running it on a sample.

`python -m gata_assets_tests.outputs` writes it. The commands run in this process, in a temporary directory, in the
order of `EXAMPLES`: some prepare what later ones show. What differs from run to run is replaced by `…`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gata_assets_tests.reference import REFERENCE, all_commands
from gata_assets_tests.support.command import dagster_home, gata

PAGE = REFERENCE / "outputs.md"
COMMAND = "python -m gata_assets_tests.outputs"
_MOST_LINES = 12
_WIDEST = 240
_BATCH = "2026010203"
_NEXT = "2026010204"
_BATCH_WITHOUT_TICKETS = "2025010203"


@dataclass(frozen=True)
class Example:
    """Of a command the words that run it: for text, and for JSON where others are needed to have something to show.

    `fails_before` is a command that fails before it, in a Dagster home that both have.
    """

    text: str
    json: str = ""
    exit_code: int = 0
    fails_before: str = ""

    def words(self, *, as_json: bool) -> list[str]:
        """The words after `gata`."""
        return [*(self.json if as_json and self.json else self.text).split(), *(["--json"] if as_json else [])]


# Files of raw rows that the examples send, by their names.
_FILES = {
    "january.csv": "user_id,item_id,interaction_type,timestamp,rating\n"
    "u1,i1,view,2026-01-01T10:00:00Z,\nu2,i2,purchase,2026-01-01T11:30:00Z,\nu2,,view,2026-01-01T11:40:00Z,\n",
    "shop.csv": "who,what,how,timestamp\nu7,i1,purchase,2026-01-02T09:00:00Z\n",
}
_SPAN = "--since 2025-09-01 --until 2026-01-03 --days 7"
_SAMPLE = f"{_SPAN} --tickets-per-day 20 --users 100 --items 50 --interactions 9000 --lake-tickets 60"
_OF_SHOP = "--map user_id=who --map item_id=what --map interaction_type=how"
_OF_WEBHOOK = "--tenant acme --table interactions --secret WEBHOOK_SECRET_SHOP"
_WHY = "--reason litigation"
EXAMPLES: dict[str, Example] = {
    "sample-data": Example(f"sample-data {_SAMPLE}", f"sample-data {_SAMPLE} --output other.sqlite"),
    "settings": Example("settings"),
    "doctor": Example("doctor"),
    "prepare": Example(f"prepare {_BATCH}", f"prepare {_NEXT}"),
    "backfill": Example("backfill 2026010205 2026010206", "backfill 2026010203 2026010210 --plan"),
    "verify": Example("verify"),
    "batches list": Example("batches list --limit 2"),
    "batches show": Example(f"batches show {_BATCH}"),
    "batches diff": Example(f"batches diff {_BATCH} {_NEXT}"),
    "batches remove": Example(f"batches remove {_BATCH} --yes", f"batches remove {_NEXT} --yes"),
    "batches give-up": Example(
        f"batches give-up {_BATCH_WITHOUT_TICKETS} --reason outage",
        fails_before=f"prepare {_BATCH_WITHOUT_TICKETS} --only tickets",
    ),
    "tickets check": Example(f"tickets check {_BATCH}"),
    "labels": Example("labels"),
    "lake get": Example("lake get --tenant sample"),
    "lake schema": Example("lake schema"),
    "ingest": Example("ingest interactions january.csv --tenant acme"),
    "mapping save": Example(f"mapping save interactions shop --tenant acme --files shop* {_OF_SHOP}"),
    "mapping list": Example("mapping list --tenant acme"),
    "mapping show": Example("mapping show interactions shop --tenant acme"),
    "mapping presets": Example("mapping presets"),
    "tenants": Example("tenants"),
    "files": Example("files --tenant acme"),
    "quarantine": Example("quarantine --tenant acme"),
    "quarantine rows": Example("quarantine rows --tenant acme"),
    "quarantine waiting": Example("quarantine waiting --tenant shop/sample"),
    "tables": Example("tables"),
    "keys create": Example("keys create --tenant acme --expires-in 90d", "keys create --tenant acme --scope read"),
    "keys list": Example("keys list"),
    "webhooks add": Example(f"webhooks add shop {_OF_WEBHOOK}", f"webhooks add crm {_OF_WEBHOOK} --flatten"),
    "webhooks list": Example("webhooks list"),
    "webhooks remove": Example("webhooks remove shop", "webhooks remove crm"),
    "retention hold add": Example(f"retention hold add --tenant acme {_WHY}", f"retention hold add --tickets {_WHY}"),
    "retention hold list": Example("retention hold list"),
    "retention hold remove": Example(
        f"retention hold remove --tenant acme {_WHY}", f"retention hold remove --tickets {_WHY}"
    ),
    "schemas show": Example("schemas show interactions"),
    "schemas register": Example("schemas register interactions --files schemas"),
    "schemas check": Example("schemas check --files schemas"),
}
# Commands that are not run here, with the reason.
NOT_RUN = {
    "ui": "serves until it is stopped",
    "serve": "serves until it is stopped",
    "batches log-datasets": "needs MLflow",
    "publish": "needs Kafka",
    "consume": "needs Kafka",
    "quarantine messages": "needs Kafka",
    "data-api": "serves until it is stopped, and needs a PostgreSQL",
    "online get": "needs Redis",
    "online list": "needs Redis",
    "online verify": "needs Redis",
    "privacy erase": "needs PRIVACY_KEYS",
    "privacy export": "writes a zip that it never replaces, and has a person",
    "privacy report": "needs a request",
    "privacy requests": "needs a request",
    "privacy log": "needs a request",
    "events tail": "needs events",
    "events rollup": "needs events",
    "trace": "needs events, or a curated row",
    "shop process": "needs the files of a shop",
    "shop replay": "needs events that failed",
    "keys revoke": "needs the prefix of a key",
    "retention plan": "shows what is old by now, which differs from day to day",
    "retention apply": "deletes, and only with RETENTION=on",
    "retention rules": "needs a bucket",
}
# What differs from run to run or from day to day: durations, instants and days of landing, ids, the release, API keys.
_VARYING = re.compile(
    r"""(?<="seconds":\ )[\d.]+ | (?<="bytes_read":\ )\d+ | [\d.,]+(?=\ MB\ in\b)
    | (?<="landed_at":\ ")[^"]+ | (?<="added_at":\ ")[^"]+ | (?<=\ since\ )\d{4}-\d{2}-\d{2}(?=:)
    | (?<="created_at":\ ")[^"]+ | (?<="expires_at":\ ")[^"]+ | (?<="prefix":\ ")[^"]+
    | (?<=\bgata_)[0-9a-z]{8}(?:_[0-9A-Za-z]{49})?\b | (?<=│\ )\d{4}-\d{2}-\d{2}\ \d{2}:\d{2}(?=\ │)
    | (?<![\d.])\d+\.\d+(?=\ s\b) | (?<=release\ )\S+
    | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
    | [0-9]{4}-[0-9]{2}-[0-9]{2}(?=-[a-z][a-z-]*-[0-9a-f]{16}|/[a-z][a-z-]*-[0-9a-f]{16}) | (?<=-)[0-9a-f]{16,32}
    """,
    re.VERBOSE,
)


def outputs_page() -> str:
    """Each command with the start of its output, as text and as JSON."""
    with tempfile.TemporaryDirectory() as directory:
        sections = "".join(_sections(Path(directory)))
    not_run = "; ".join(f"`gata {name}` {reason}" for name, reason in NOT_RUN.items())
    return (
        f"<!-- Generated by {COMMAND}; do not edit. -->\n\n# Outputs\n\n"
        f"What each [command](commands.md) prints on a small sample: the first {_MOST_LINES} "
        f"lines, long ones cut. `…` is what differs from run to run, or was cut.\n"
        f"Not run here: {not_run}.\n{sections}"
    )


def _sections(directory: Path) -> Iterator[str]:
    for name, content in _FILES.items():
        (directory / name).write_text(content)
    for name, example in EXAMPLES.items():
        yield f"\n## gata {name}\n"
        has_json = any(option.name in ("as_table", "as_json") for option in all_commands()[name].params)
        for as_json in (False, True)[: 1 + has_json]:
            yield _example(directory, name, example, as_json=as_json)


def _example(directory: Path, name: str, example: Example, *, as_json: bool) -> str:
    words = example.words(as_json=as_json)
    takes_table = any(option.name == "as_table" for option in all_commands()[name].params)
    variables = {"COLUMNS": "100"}
    if example.fails_before:
        home = directory / "home"
        variables["DAGSTER_HOME"] = str(home if home.exists() else dagster_home(directory))
        assert gata(directory, *example.fails_before.split(), **variables).returncode == 1
    ran = gata(directory, *words, *(["--summary", "table"] if takes_table and not as_json else []), **variables)
    assert ran.returncode == example.exit_code, f"{words}: {ran.returncode}\n{ran.stdout}{ran.stderr}"
    shown = "\n".join(_cut(list(map(_unvarying, ran.stdout.splitlines()))))
    return f"\n```console\n$ gata {' '.join(words)}\n{shown}\n```\n"


def _unvarying(line: str) -> str:
    """A line with `…` for what varies; rows of tables stay as wide as they are."""
    is_of_table = line.startswith("│")
    return _VARYING.sub(lambda found: "…".ljust(len(found[0])) if is_of_table else "…", line)


def _cut(lines: list[str]) -> list[str]:
    shown = [line.rstrip() if len(line) <= _WIDEST else f"{line[:_WIDEST]}…" for line in lines[:_MOST_LINES]]
    return [*shown, *(["…"] if len(lines) > _MOST_LINES else [])]


if __name__ == "__main__":
    PAGE.write_text(outputs_page())
