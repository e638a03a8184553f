"""Metrics of events: CloudWatch's embedded format, and Prometheus's text. Real files and locks; nothing is faked."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.shop.events.metrics import NAMESPACE, UNITS, Measured, embedded_metrics
from gata_assets.shop.events.metrics_file import add_to_metrics_file
from gata_assets.shop.events.prometheus import (
    METRICS,
    Series,
    add_series,
    read_series,
    series_of,
    series_of_letters,
    write_series,
)

MEASURED = Measured(
    source="ecommerce",
    table="orders",
    stage="raw-to-curated",
    at=datetime(2026, 1, 3, 4, 5, 6, 789_000, tzinfo=UTC),
    seconds=30.0,
    has_failed=False,
    rows=200,
    rejected=10,
    duplicates=4,
    quarantined=2,
)
# All units of CloudWatch that are used here, of its MetricDatum.
CLOUDWATCH_UNITS = {"Seconds", "Count", "Percent", "None"}


class TestEmbedded:
    def test_a_line_is_as_the_specification_says(self) -> None:
        line = json.loads(json.dumps(embedded_metrics(MEASURED)))
        assert line["_aws"]["Timestamp"] == 1_767_413_106_789
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == NAMESPACE
        assert re.fullmatch(r"[A-Za-z0-9.\-_/#:]{1,255}", NAMESPACE)
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30
            assert all(isinstance(line[name], str) and line[name] for name in dimensions)
        assert len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric["Unit"] in CLOUDWATCH_UNITS
            assert isinstance(line[metric["Name"]], int | float)

    def test_the_metrics_are_those_of_the_reference(self) -> None:
        line = embedded_metrics(MEASURED)
        assert (line["RecordsPerMinute"], line["ValidationFailureRate"], line["DeduplicationRate"]) == (400, 5, 2)
        assert (line["ProcessingDuration"], line["ErrorRate"]) == (30, 0)
        assert set(line) >= set(UNITS)

    def test_a_failure_has_a_rate_of_errors_and_none_of_rows(self) -> None:
        line = embedded_metrics(replace(MEASURED, has_failed=True))
        assert (line["ErrorRate"], line["FailedEvents"], line["Events"]) == (100, 1, 1)
        assert not {"Records", "ValidationFailureRate", "RecordsPerMinute"} & set(line)

    def test_a_file_without_rows_has_no_rates(self) -> None:
        line = embedded_metrics(replace(MEASURED, rows=0, rejected=0, duplicates=0, seconds=0.0))
        assert line["Records"] == 0
        assert not {"ValidationFailureRate", "DeduplicationRate", "RecordsPerMinute"} & set(line)


class TestPrometheus:
    def test_the_text_is_as_the_format_says(self) -> None:
        text = write_series(series_of(MEASURED) | series_of_letters(queued=1))
        lines = text.splitlines()
        assert text.endswith("\n") and "" not in lines
        assert lines[:3] == [
            "# HELP gata_shop_events_total Events that were processed, or failed for good.",
            "# TYPE gata_shop_events_total counter",
            'gata_shop_events_total{source="ecommerce",stage="raw-to-curated",table="orders"} 1',
        ]
        assert "gata_shop_dead_letters_total 1" in lines and "gata_shop_replayed_dead_letters_total 0" in lines

    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
    def test_names_are_as_promtool_wants_them(self, metric) -> None:  # type: ignore[no-untyped-def]
        assert re.fullmatch("[a-z][a-z0-9_]*", metric.name) and metric.meaning.endswith(".")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        # No other units than base units, no type in a name, no reserved ending.
        assert not re.search("_(milliseconds|minutes|hours|percent|counter|gauge|count|sum|bucket)(_|$)", metric.name)
        assert "__" not in metric.name

    def test_counters_are_added_and_gauges_replaced(self) -> None:
        text = add_series("", [series_of(MEASURED)])
        text = add_series(
            text, [series_of(replace(MEASURED, seconds=2.5, has_failed=True)), series_of_letters(queued=1)]
        )
        found = {(name, dict(labels).get("table")): value for (name, labels), value in read_series(text).items()}
        assert found["gata_shop_events_total", "orders"] == 2
        assert found["gata_shop_failed_events_total", "orders"] == 1
        assert found["gata_shop_processing_seconds_total", "orders"] == 32.5
        assert found["gata_shop_last_processing_duration_seconds", "orders"] == 2.5
        assert found["gata_shop_dead_letters_total", None] == 1

    @given(
        st.dictionaries(
            st.tuples(
                st.sampled_from([metric.name for metric in METRICS]),
                st.text(max_size=10).map(lambda value: (("source", value),)),
            ),
            st.floats(0, 1e15),
            max_size=5,
        )
    )
    def test_what_is_written_is_read_again(self, series: Series) -> None:
        assert read_series(write_series(series)) == series

    def test_lines_of_others_are_not_read(self) -> None:
        assert read_series("node_cpu_seconds_total 1\nx\n# HELP a\ngata_shop_events_total NaN\n") == {}


class TestFile:
    def test_a_file_is_added_to_and_nothing_else_is_left_for_a_collector(self, tmp_path: Path) -> None:
        path = tmp_path / "gata_shop.prom"
        for _ in range(3):
            add_to_metrics_file(path, [series_of(MEASURED)])
        assert read_series(path.read_text())["gata_shop_events_total", next(iter(series_of(MEASURED)))[1]] == 3
        assert [one.name for one in tmp_path.glob("*.prom") if not one.name.startswith(".")] == ["gata_shop.prom"]

    def test_processes_at_the_same_time_lose_no_event(self, tmp_path: Path) -> None:
        path = tmp_path / "gata_shop.prom"
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: add_to_metrics_file(path, [series_of_letters(queued=1)]), range(64)))
        assert read_series(path.read_text())["gata_shop_dead_letters_total", ()] == 64

    def test_a_place_that_is_not_there_is_an_error_of_the_system(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            add_to_metrics_file(tmp_path / "nowhere" / "x.prom", [])
