"""The chart of counts on an asset's page: every count is in it, and the UI shows it without a click.

Nothing is faked.
"""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gata_assets.orchestration.asset_pages.bar_chart import MOST_CHARACTERS, bar_chart, draw_bars

COUNTS = st.dictionaries(st.text(max_size=60), st.integers(0, 10**12), max_size=80)


@given(COUNTS)
def test_the_chart_fits_and_loses_no_count(counts: dict[str, int]) -> None:
    shown = draw_bars(counts).splitlines()
    assert len(bar_chart(counts).value) <= MOST_CHARACTERS
    assert sum(int(line.split()[-2].replace(",", "")) for line in shown) == sum(counts.values())
    assert len({len(line) for line in shown}) <= 1, "columns are aligned"


def test_a_bar_is_as_long_as_its_count() -> None:
    counts = {"half": 50, "all": 100, "none": 0, "hardly": 1}
    lines = draw_bars(counts).splitlines()
    assert [line.split()[0] for line in lines] == ["all", "half", "hardly", "none"]
    assert [line.count("█") for line in lines] == [16, 8, 0, 0]
    assert [bool(re.search("[▏▎▍▌▋▊▉]", line)) for line in lines] == [False, False, True, False]
    assert [line.split()[-1] for line in lines] == ["66.2%", "33.1%", "0.7%", "0.0%"]


def test_names_that_do_not_fit_are_one_line_together() -> None:
    lines = draw_bars({f"label {number:04}": 1 for number in range(1_000)}).splitlines()
    rest = 1_000 - (len(lines) - 1)
    assert (lines[0].split()[0], lines[-1].split()[:2]) == ("label", [f"{rest}", "more"])
    assert lines[-1].split()[-2] == str(rest)


def test_a_name_cannot_leave_its_line_or_the_block() -> None:
    text = bar_chart({"a\n```\n![](http://elsewhere.example/x.png)": 1}).value
    assert text is not None
    assert text.count("```") == 2
    assert len(text.splitlines()) == 3
