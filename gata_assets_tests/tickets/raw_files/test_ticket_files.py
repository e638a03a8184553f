"""Raw files of tickets: values against an oracle in plain Python, and a store that is whole whatever happens.

Real: files, SQLite, a process that is killed. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.curation.files.formats import parse_format
from gata_assets.tables.mapped_table import mapped
from gata_assets.tickets.raw_files.raw_tickets import DECIMALS, raw_ticket_table
from gata_assets.tickets.raw_files.ticket_files import ingest_ticket_file, read_ticket_file
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets.tickets.sources.ticket_table import CHANNELS, TICKET_COLUMNS

SPEC = mapped(raw_ticket_table(2), DECIMALS)
JSON_LINES = parse_format("jsonl")

_LABELS = st.one_of(
    st.none(),
    st.integers(0, 10**18 - 1),
    st.sampled_from([" ", "Billing", " Tier 2 ", "007", "1e5", "12.5", "7.0", "-5", ".5", "+5", "0", "1_000", "９"]),
)
_TEXTS = st.one_of(st.none(), st.sampled_from(["", " \n", "a", "Ä b", "\u00a0", "x\n\ny", " padded "]))
_ROWS = st.fixed_dictionaries(
    {
        "id": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.sampled_from(["A", "1.5", "8", " "])),
        "processed_data": _TEXTS,
        "processed_data_2": _TEXTS,
        "closed": st.one_of(
            st.none(), st.sampled_from([0, 1_767_323_045, "1767323045.9", "2026-01-02T03:04:05Z", 5, "x"])
        ),
        "closed_group_id_mapped": _LABELS,
        "via_channel": st.one_of(st.none(), st.sampled_from([*CHANNELS[:3], "pigeon", ""])),
        "initial_group_id": st.one_of(st.none(), st.sampled_from([0, 5, "5.0", 7.0, "none"])),
    }
)


def closed_of(value: Any) -> int | None:
    """Epoch seconds, 0 for an open ticket, None for what is no instant."""
    if value in (None, 0):
        return 0
    if value == "x":
        return None
    return int(float(value)) if re.fullmatch(r"[0-9.]+", str(value)) else 1_767_323_045


def plain(row: dict[str, Any]) -> tuple[Any, ...] | None:
    """A row of the ticket table by hand: id, text, channel, group, closed, label; None for a row that is rejected."""
    written = str(row["id"]).strip() if row["id"] is not None else ""
    closed = closed_of(row["closed"])
    label = str(row["closed_group_id_mapped"] if row["closed_group_id_mapped"] is not None else "").strip()
    label = label.removesuffix(".0") if label == "7.0" else label
    texts = [text for text in (row["processed_data"], row["processed_data_2"]) if text and text.strip()]
    group = str(row["initial_group_id"] if row["initial_group_id"] is not None else "").removesuffix(".0")
    is_number = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", label)
    is_whole = re.fullmatch(r"0|[1-9][0-9]*", label)
    if not re.fullmatch(r"[+-]?[0-9]+", written) or closed is None or 0 < closed < 10**8:
        return None
    if (closed and not (texts and label)) or (is_number and not is_whole) or not re.fullmatch(r"[0-9]*", group):
        return None
    if row["via_channel"] not in (None, "", *CHANNELS):
        return None
    stored_label = int(label) if is_whole else label or None
    channel = row["via_channel"] or "import"
    return (int(written), "\n\n".join(texts), channel, int(group) if group else None, closed, stored_label)


@given(rows=st.lists(_ROWS, min_size=1, max_size=8))
@settings(max_examples=25)
def test_the_store_has_the_last_valid_row_of_each_id(rows: list[dict[str, Any]]) -> None:
    expected = {found[0]: found for row in rows if (found := plain(row))}
    with TemporaryDirectory() as directory:
        store, path = Path(directory) / "t.sqlite", Path(directory) / "t.jsonl"
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        result = ingest_ticket_file(store, path, JSON_LINES, SPEC, "t.jsonl")
        assert (result.rows, result.valid) == (len(rows), sum(plain(row) is not None for row in rows))
        assert result.new == len(expected)
        assert store.exists() == bool(expected)
        if expected:
            columns = "id, processed_data, via_channel, initial_group_id, closed, closed_group_id_mapped"
            with closing(sqlite3.connect(store)) as connection:
                assert connection.execute(f"SELECT {columns} FROM ticket ORDER BY id").fetchall() == sorted(
                    expected.values()
                )


def ticket_lines(count: int, text: str) -> str:
    row = {"processed_data": text * 20, "processed_data_2": None, "closed": 1_767_323_045, "closed_group_id_mapped": 2}
    return "\n".join(json.dumps({"id": number, **row}) for number in range(count))


def test_a_file_is_read_without_any_store_and_block_by_block(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(ticket_lines(12_000, "some words "))
    blocks = list(read_ticket_file(tmp_path / "t.jsonl", JSON_LINES, SPEC, "t.jsonl"))
    assert len(blocks) > 3
    assert sum(block.rows for block in blocks) == sum(len(block.tickets) for block in blocks) == 12_000
    assert {tuple(block.tickets.columns) for block in blocks} == {TICKET_COLUMNS}
    assert list(tmp_path.iterdir()) == [tmp_path / "t.jsonl"]


KILLED = """
import os, signal, sys
from pathlib import Path
from gata_assets_tests.tickets.raw_files.test_ticket_files import JSON_LINES, SPEC, ingest_ticket_file

def progress(rows):
    if rows > 4_000:
        os.kill(os.getpid(), signal.SIGKILL)

ingest_ticket_file(Path(sys.argv[1]), Path(sys.argv[2]), JSON_LINES, SPEC, "b.jsonl", progress=progress)
"""


@pytest.mark.process
@pytest.mark.slow
def test_a_command_that_is_killed_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(ticket_lines(2, "before "))
    (tmp_path / "b.jsonl").write_text(ticket_lines(12_000, "after "))
    store = tmp_path / "t.sqlite"
    ingest_ticket_file(store, tmp_path / "a.jsonl", JSON_LINES, SPEC, "a.jsonl")
    paths = [str(store), str(tmp_path / "b.jsonl")]
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, *paths], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT processed_data FROM ticket").fetchall() == [("before " * 20,)] * 2
    assert ingest_ticket_file(store, tmp_path / "b.jsonl", JSON_LINES, SPEC, "b.jsonl").new == 11_998


WRITER = """
import os, signal, sqlite3, sys
writer = sqlite3.connect(sys.argv[1], isolation_level=None)
writer.execute("PRAGMA cache_size = 1")
writer.execute("BEGIN IMMEDIATE")
for number in range(2_000):
    writer.execute("UPDATE ticket SET processed_data = processed_data || ?", ("half",) )
    if number == 1_000:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
def test_a_store_of_a_killed_writer_is_read_as_it_was_before(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(ticket_lines(500, "before "))
    store = tmp_path / "t.sqlite"
    ingest_ticket_file(store, tmp_path / "a.jsonl", JSON_LINES, SPEC, "a.jsonl")
    assert subprocess.run([sys.executable, "-c", WRITER, str(store)], check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "t.sqlite-journal").exists(), "half of a transaction is in the file"
    report = SqliteTickets(path=str(store)).probe()
    assert (report.closed_tickets, report.largest_text) == (500, len("before " * 20))
