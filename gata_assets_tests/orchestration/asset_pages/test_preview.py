"""The preview of a dataset on its page: no row unless it is allowed, and rows as text only. Nothing is faked."""

from __future__ import annotations

from collections.abc import Iterator

from gata_assets.orchestration.asset_pages.preview import preview

ROWS = [{"text": f"text {number}", "label": number} for number in range(5)]


def test_no_row_is_looked_at_unless_it_is_allowed() -> None:
    def never() -> Iterator[dict[str, object]]:
        raise AssertionError("a row was read")
        yield {}

    assert preview(never(), most_rows=0) == {}
    assert preview([], most_rows=3) == {}


def test_a_preview_has_the_first_rows_and_no_more() -> None:
    text = str(preview(ROWS, most_rows=2)["preview"].value)
    assert text.splitlines() == [
        "| `text` | `label` |",
        "| --- | --- |",
        "| `text 0` | `0` |",
        "| `text 1` | `1` |",
    ]


def test_a_value_is_shown_as_text_and_never_read_as_markdown() -> None:
    value = "![a](http://x.example/y.png) `code` | cell \\| cell\nline " + "long " * 40
    [row] = str(preview([{"a": value, "b": None}], most_rows=1)["preview"].value).splitlines()[2:]
    shown = row.removeprefix("| `").removesuffix("` |  |")
    assert shown.startswith("![a](http://x.example/y.png) 'code' ¦ cell \\¦ cell line long")
    assert not set(shown) & set("`|\n")
    assert len(shown) == 80
