"""`gata ingest --explain`: what it proposes, that the proposed command does what it shows, and that it writes nothing.

Real: click's command line, settings, readers, validation, files, streams. The files look like public ones and are
generated (`support/look_alikes.py`), or are written here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.look_alikes import (
    LOOK_ALIKES,
    LookAlike,
    amazon_2023,
    movielens,
    movielens_100k,
    rees46,
    rees46_items,
    retailrocket,
    yoochoose_clicks,
)
from gata_assets_tests.support.raw_worlds import ENDINGS, encode, interaction, item

EARLIEST = {"EARLIEST_INTERACTION": "1995-01-01"}


def explain(
    directory: Path, table: str, name: str, *options: str, stdin: bytes | None = None, **settings: str
) -> dict[str, object]:
    words = ("ingest", table, name, "--explain", "--summary", "json", *options)
    ran = gata(directory, *words, stdin=stdin, **settings)
    assert ran.returncode in (0, 1), ran.stderr
    (line,) = ran.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    assert found["can_be_read"] is (ran.returncode == 0)
    return found


def shown(directory: Path, table: str, name: str, *options: str, **settings: str) -> str:
    return gata(directory, "ingest", table, name, "--explain", "--summary", "table", *options, **settings).stdout


def run(directory: Path, command: object) -> dict[str, object]:
    """Run a proposed command for a tenant."""
    program, *words = shlex.split(str(command).replace("--tenant NAME", "--tenant acme"))
    assert program == "gata"
    ran = gata(directory, *words, "--summary", "json", **EARLIEST)
    (line,) = ran.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def require_promise_kept(directory: Path, found: dict[str, object]) -> None:
    """The command reads as many rows as were read, and rejects what was shown (all rows were looked at)."""
    result = run(directory, found["command"])
    assert result["rejected_by_rule"] == found["rejected_by_rule"]
    assert (result["rows"], result["valid"]) == (found["rows"], found["valid"])


@pytest.mark.parametrize("build", LOOK_ALIKES, ids=lambda build: build.__name__)
def test_a_file_of_a_known_format_is_explained_by_its_preset(build: Callable[[], LookAlike], tmp_path: Path) -> None:
    file = build()
    (tmp_path / file.name).write_bytes(file.content)
    found = explain(tmp_path, file.table, file.name, **EARLIEST)
    assert (found["fits"], found["preset"]) == ("preset", file.preset)
    assert found["command"] == f"gata ingest {file.table} {file.name} --tenant NAME --preset {file.preset}"
    assert found["rejected_by_rule"] == file.rejected
    assert [path.name for path in tmp_path.rglob("*")] == [file.name], "nothing is written"


def renamed(file: LookAlike, names: dict[str, str]) -> bytes:
    """A file whose columns have other names: in CSV those of the header, in JSON Lines the keys."""
    if not file.name.endswith("jsonl"):
        header, end, rest = file.content.partition(b"\n")
        words = [names.get(word, word) for word in header.decode().rstrip("\r").split(",")]
        return ",".join(words).encode() + end + rest
    return re.sub(rb'"(\w+)":', lambda key: f'"{names.get(key[1].decode(), key[1].decode())}":'.encode(), file.content)


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (movielens, {"userId": "member", "movieId": "Article ID", "rating": "Stars", "timestamp": "when"}),
        (retailrocket, {"visitorid": "shopper_id", "event": "what", "itemid": "SKU", "timestamp": "moment"}),
        (rees46, {"event_time": "created", "event_type": "action", "product_id": "article", "user_id": "client"}),
        (rees46_items, {"product_id": "stock_code", "category_code": "department", "brand": "vendor"}),
        (amazon_2023, {"user_id": "reviewer", "parent_asin": "product", "asin": "variant", "timestamp": "unix_time"}),
    ],
    ids=["films", "shop", "log", "catalog", "reviews"],
)
def test_a_file_of_other_names_gets_a_mapping_that_reads_it(
    build: Callable[[], LookAlike], names: dict[str, str], tmp_path: Path
) -> None:
    file = build()
    (tmp_path / file.name).write_bytes(renamed(file, names))
    found = explain(tmp_path, file.table, file.name, **EARLIEST)
    assert found["fits"] == "proposal"
    # The rows that are wrong by any name, and those of words without a counterpart.
    wrong = {"user_id_is_given", "interaction_type_is_known", "timestamp_is_an_instant", "rating_is_1_to_5"}
    assert {*found["rejected_by_rule"]} <= wrong  # type: ignore[misc]
    assert found["read"] == found["valid"] == found["rows"] - sum(found["rejected_by_rule"].values())  # type: ignore[attr-defined, operator]
    require_promise_kept(tmp_path, found)


@pytest.mark.parametrize(
    ("build", "change"),
    [
        (movielens_100k, lambda content: content.replace(b"\t", b";")),
        (yoochoose_clicks, lambda content: content.replace(b"\n", b",x,y\n")),
    ],
    ids=["ratings", "clicks"],
)
def test_a_file_without_a_header_is_read_by_the_looks_of_its_values(
    build: Callable[[], LookAlike], change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    file = build()
    (tmp_path / "log.txt").write_bytes(change(file.content))
    found = explain(tmp_path, file.table, "log.txt", **EARLIEST)
    assert (found["fits"], found["has_header"], found["valid"]) == ("proposal", False, len(file.rows))
    assert "--ending txt=csv" in str(found["command"])
    assert sum("is a guess" in note for note in found["notes"]) >= 3  # type: ignore[attr-defined]
    require_promise_kept(tmp_path, found)


@pytest.mark.parametrize(
    ("way", "ending"),
    [
        *(("file", ending) for ending in ENDINGS),
        *(("stdin", ending) for ending in ("csv.gz", "jsonl", "parquet.zst")),
        *(("fifo", ending) for ending in ("csv", "jsonl.zst", "parquet")),
    ],
)
def test_the_start_of_every_format_is_explained_wherever_it_comes_from(ending: str, way: str, tmp_path: Path) -> None:
    row = interaction(rating="4")
    rows = [
        {name: row[name] for name in ("user_id", "item_id", "timestamp", "rating")} | {"user_id": f"u{number}"}
        for number in range(9)
    ]
    content = encode(
        [{"client" if name == "user_id" else name: value for name, value in one.items()} for one in rows], ending
    )
    path = tmp_path / f"rows.{ending}"
    if way == "stdin":
        found = explain(tmp_path, INTERACTIONS, "-", stdin=content)
        assert str(found["command"]).endswith(f"--format {ending}")
    elif way == "fifo":
        os.mkfifo(path)
        writer = Thread(target=lambda: path.write_bytes(content))
        writer.start()
        found = explain(tmp_path, INTERACTIONS, path.name)
        writer.join()
    else:
        path.write_bytes(content)
        found = explain(tmp_path, INTERACTIONS, path.name)
        require_promise_kept(tmp_path, found)
    assert (found["rows"], found["valid"], found["format"]) == (9, 9, ending)
    assert found["mapping"]["columns"] == {"user_id": ["client"]}  # type: ignore[index]


@pytest.mark.parametrize("table", [INTERACTIONS, ITEMS])
def test_a_file_that_fits_its_table_says_so(table: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(encode([interaction() if table == INTERACTIONS else item()], "csv"))
    found = explain(tmp_path, table, "a.csv")
    assert (found["fits"], found["command"]) == ("table", f"gata ingest {table} a.csv --tenant NAME")
    assert f"It fits the table {table} as it is:" in shown(tmp_path, table, "a.csv")


def test_what_is_odd_in_values_is_said_though_the_file_fits(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(encode([interaction(item_id="7.0", timestamp="2026-01-01 10:00")], "csv"))
    found = explain(tmp_path, INTERACTIONS, "a.csv")
    assert found["fits"] == "table"
    assert found["notes"] == [
        "timestamp names no time zone: it is read as UTC.",
        "item_id has whole numbers written as decimals: --ids integer reads 17.0 as 17.",
    ]


def test_typed_columns_of_parquet_are_looked_at_and_others_passed_over(tmp_path: Path) -> None:
    times = [datetime(2026, 1, 1, 2, 3, number) for number in range(3)]
    rows = {"user": [1, 2, 3], "sku": [7.0, 8.0, 9.0], "event": ["view", "buy", "pv"], "timestamp": times}
    others = {"tags": [["x"], [], []], "clock": [time(1, 2)] * 3, "size": [1.5, None, 2.5]}
    pl.DataFrame({**rows, **others}).write_parquet(tmp_path / "a.parquet")
    found = explain(tmp_path, INTERACTIONS, "a.parquet")
    assert (found["valid"], found["unknown_columns"]) == (3, ["tags", "clock", "size"])
    assert "--ids integer" in str(found["command"])
    require_promise_kept(tmp_path, found)


def test_rows_are_shown_as_they_are_read_and_only_as_text(tmp_path: Path) -> None:
    user, word = canary("a user"), canary("a word")
    lines = ["client;sku;happened;action", f"{user};i1;31.01.2026 07:30;buy", f"u2;i2;01.02.2026 09:00;{word}"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    text = shown(tmp_path, INTERACTIONS, "a.csv")
    assert user in text
    assert "2026-01-31T07:30:00Z" in text
    assert f"of unknown words ({word[:39]}" in text
    ran = gata(tmp_path, "ingest", INTERACTIONS, "a.csv", "--explain", "--summary", "json")
    assert user not in ran.stdout + ran.stderr
    assert word not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("content", "remedies"),
    [
        (
            "user_id,item_id,interaction_type,timestamp\nu,i,view,2014-03-01T00:00:00Z\n",
            ["0 are valid, and 1 more with another setting", "EARLIEST_INTERACTION=2014-01-01"],
        ),
        (
            "user_id,item_id,interaction_type,timestamp\nu,i,view,2914-03-01T00:00:00Z\nu,i,view,2026-01-01T00:00:00Z\n",
            ["1 would break timestamp_is_within_reason: later than MAX_HOURS_AHEAD from now"],
        ),
        (
            "user_id,item_id,interaction_type,timestamp\nu,i,view,2026-01-01T00:00:00Z\nu,i,hover,2026-01-01T00:00:00Z\n",
            ["of unknown words (hover), which --types WORD=TYPE,... translates"],
        ),
        (
            "user,item,time,extra\nu,i,2026-01-01 10:00:00,x\n",
            ["--constant interaction_type=view", "names no time zone", "not read: extra", "--ignore-unknown"],
        ),
        (
            "user,item,time\nu,i,03/04/2026 10:00\n",
            ["timestamp is read as %m/%d/%Y %H:%M, and could also be %d/%m/%Y %H:%M: --timestamps says it."],
        ),
        (
            "user,item,time,score\nu,i,2026-01-01T10:00:00Z,10\nu,i,2026-01-01T10:00:00Z,1\n",
            ["rating is a guess: its scale seems to be 1 to 10", "--rating-scale 1:10", "interaction_type=like"],
        ),
        (
            "user,item,time\n17.0,4.0,2026-01-01T10:00:00Z\n",
            ["--ids integer", "│ 17 "],
        ),
        (
            "user,item,time\nu,i,1769000000000000\n",
            ["microseconds or nanoseconds since 1970, which are not read", "No row of it can be read so"],
        ),
    ],
    ids=["earliest", "latest", "words", "unknown", "ambiguous", "scale", "ids", "microseconds"],
)
def test_what_is_wrong_or_a_guess_comes_with_its_remedy(content: str, remedies: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    text = shown(tmp_path, INTERACTIONS, "a.csv")
    assert [remedy for remedy in remedies if remedy not in text] == [], text


def test_items_that_lack_a_title_are_called_by_their_ids(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"sku": "s1", "price": 3}\n{"sku": "s2", "price": "n/a"}\n')
    found = explain(tmp_path, ITEMS, "a.jsonl")
    assert "--substitute title=item_id --discard-invalid" in str(found["command"])
    assert found["discarded_by_rule"] == {"price_is_a_number": 1}
    require_promise_kept(tmp_path, found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty but for blank lines"),
        (b"user_id,item_id,interaction_type,timestamp\n", "has a header, and no row below it"),
        (b"PK\x03\x04" + b"x" * 60, "is a ZIP archive"),
        (b"PAR1" + b"\0" * 60, "cannot be read to its end"),
        (b'[{"user_id": "u"}]', "is a JSON array"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "cannot be read to its end"),
        ("user_id,größe\na,1\n".encode("latin-1"), "is not UTF-8"),
        ("user_id,item_id\na,b\n".encode("utf-16"), "is not UTF-8 but UTF-16"),
        (b"a,b\nx,y\n", "What is missing cannot be guessed: user_id, item_id, timestamp."),
    ],
    ids=["empty", "blank", "header", "zip", "parquet", "array", "gzip", "latin-1", "utf-16", "nothing"],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    found = explain(tmp_path, INTERACTIONS, "a.csv")
    assert found["can_be_read"] is False
    assert reason in shown(tmp_path, INTERACTIONS, "a.csv")


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert explain(tmp_path, INTERACTIONS, "a.csv")["reason"] == "cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((INTERACTIONS, "a.csv", "b.csv", "--explain"), "--explain goes with one file"),
        ((INTERACTIONS, ".", "--explain"), "is a directory"),
        (("orders", "a.csv", "--explain"), "orders is no table"),
        ((INTERACTIONS, "a.csv", "--explain", "--format", "xlsx"), "--format xlsx is none"),
        ((INTERACTIONS, "a.csv", "--explain", "--mapping", "shop"), "--tenant says whose"),
        ((INTERACTIONS, "a.csv", "--explain", "--map", "who=user"), "has no column who"),
        ((INTERACTIONS, "a.csv"), "Missing option '--tenant'"),
    ],
    ids=["two", "directory", "table", "format", "mapping", "column", "tenant"],
)
def test_wrong_words_are_an_error_of_usage(words: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    ran = gata(tmp_path, "ingest", *words)
    assert (ran.returncode, reason in ran.stderr) == (2, True), ran.stderr


def test_names_without_types_are_no_atomic_file(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("user_id\titem_id\ttimestamp\nu\ti\t1769000000\n")
    found = explain(tmp_path, INTERACTIONS, "a.tsv")
    assert (found["fits"], found["valid"]) == ("proposal", 1)
    assert "--separator tab --ending tsv=csv" in str(found["command"])


def test_a_record_that_the_end_of_the_start_cuts_is_not_counted(tmp_path: Path) -> None:
    text = "a line\n" * 700
    rows = "".join(f'i{number},A thing,"{text}"\n' for number in range(300))
    (tmp_path / "a.csv").write_text(f"item_id,title,description\n{rows}")
    found = explain(tmp_path, ITEMS, "a.csv")
    assert (found["rejected_by_rule"], found["valid"]) == ({}, found["rows"])
    assert 150 < int(str(found["rows"])) < 300


def test_given_options_are_explained_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_bytes(movielens().content)
    options = ("--preset", "movielens", "--constant", "interaction_type=view")
    found = explain(tmp_path, INTERACTIONS, "ratings.csv", *options, **EARLIEST)
    assert (found["fits"], found["valid"]) == ("given", len(movielens().rows))
    assert found["command"] == f"gata ingest interactions ratings.csv --tenant NAME {shlex.join(options)}"
    require_promise_kept(tmp_path, found)
    lacking = explain(tmp_path, INTERACTIONS, "ratings.csv", "--map", "user_id=userId")
    assert "lacks the columns" in str(lacking["reason"])


def test_a_saved_mapping_is_explained_for_its_tenant(tmp_path: Path) -> None:
    ran: Ran = gata(tmp_path, "mapping", "save", INTERACTIONS, "films", "--tenant", "acme", "--preset", "movielens")
    assert ran.returncode == 0
    (tmp_path / "ratings.csv").write_bytes(movielens().content)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = explain(tmp_path, INTERACTIONS, "ratings.csv", "--tenant", "acme", **EARLIEST)
    assert (found["fits"], found["command"]) == ("given", "gata ingest interactions ratings.csv --tenant acme")
    assert found["valid"] == len(movielens().rows)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert "By the saved mapping films:" in shown(tmp_path, INTERACTIONS, "ratings.csv", "--tenant", "acme")


def test_a_content_that_its_name_does_not_tell_gets_the_option(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(encode([interaction()], "jsonl"))
    assert explain(tmp_path, INTERACTIONS, "rows.csv")["command"] == (
        "gata ingest interactions rows.csv --tenant NAME --format jsonl"
    )
    (tmp_path / "part 0001").write_bytes(encode([interaction()], "csv"))
    assert explain(tmp_path, INTERACTIONS, "part 0001")["command"] == (
        "gata ingest interactions 'part 0001' --tenant NAME --format csv"
    )


def test_a_file_that_lands_without_a_valid_row_names_the_explanation(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(encode([interaction(timestamp="2014-01-01T00:00:00Z")], "csv"))
    ran = gata(tmp_path, "ingest", INTERACTIONS, "a.csv", "--tenant", "acme", "--summary", "table")
    assert "`gata ingest interactions FILE --explain` shows" in ran.stdout


TICKETS = (
    "Ticket ID,Subject,Description,Group,Solved at,Requester\r\n"
    '1,Printer,"It is broken,\nhelp",Hardware,1767323045678,a\r\n'
    "2,Bill,Wrong sum,Billing,1767323046678,b\r\n"
    "3,,No group,,1767323047678,c\r\n"
)


def test_an_export_of_a_helpdesk_gets_options_that_ingest_it(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(TICKETS, newline="")
    found = explain(tmp_path, "tickets", "export.csv")
    assert found["command"] == (
        "gata ingest tickets export.csv --map 'id=Ticket ID' --text-column Subject --text-column Description "
        "--closed-column 'Solved at' --label-column Group --timestamps epoch_ms --ignore-unknown"
    )
    assert (found["rows"], found["rejected_by_rule"]) == (3, {"label_is_given": 1})
    assert [path.name for path in tmp_path.rglob("*")] == ["export.csv"], "nothing is written"
    words = shlex.split(str(found["command"]))[1:]
    settings = {"TICKETS_URL": "sqlite:///tickets.sqlite", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    (line,) = gata(tmp_path, *words, "--summary", "json", **settings).stdout.splitlines()
    assert json.loads(line)["rejected_by_rule"] == found["rejected_by_rule"]


def test_options_for_tickets_are_explained_as_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(TICKETS, newline="")
    options = ("--map", "id=Ticket ID", "--text-column", "Description", "--label-column", "Group")
    found = explain(tmp_path, "tickets", "export.csv", *options, "--closed-column", "Solved at", "--ignore-unknown")
    assert found["rejected_by_rule"] == {"closed_is_an_instant": 3}
