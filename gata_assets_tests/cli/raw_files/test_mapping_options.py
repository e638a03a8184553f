"""Options of a command and mappings, back and forth: what `--explain` proposes is what the command then does.

Real: click, the options, the presets, tables. Nothing is faked, and no file is read.
"""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.cli.raw_files.mapping_options import MappingOptions, takes_mapping
from gata_assets.cli.raw_files.mapping_words import as_mapping, options_of
from gata_assets.interactions.presets import PRESETS
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.raw_mapping import RawMapping, merge_mappings
from gata_assets.tables.spec import TableSpec


def parsed(words: list[str], spec: TableSpec) -> RawMapping:
    """The mapping that the words of a command amount to."""
    found: list[MappingOptions] = []

    @click.command()
    @takes_mapping
    def command(mapping: MappingOptions) -> None:
        found.append(mapping)

    ran = CliRunner().invoke(command, words, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return as_mapping(found[0], spec)


NAMES = st.text("abcXYZ -_.ü=", min_size=1, max_size=8).filter(lambda name: name.strip() == name)
WORDS = st.text("abcXYZ -_.ü", min_size=1, max_size=8).filter(lambda word: word.strip() == word)
BOUNDS = st.integers(-20, 200).map(lambda number: number / 2)


@st.composite
def mappings(draw: st.DrawFn) -> RawMapping:
    """Mappings of interactions that options can say."""
    columns = ["user_id", "item_id", "rating", "location", "session_id"]
    named = draw(st.dictionaries(st.sampled_from(columns), st.lists(NAMES, max_size=2, unique=True).map(tuple)))
    low, high = sorted(draw(st.lists(BOUNDS, min_size=2, max_size=2, unique=True)))
    formats = st.sampled_from(["iso8601", "epoch_s", "epoch_ms", "%d.%m.%Y %H:%M"])
    header = st.lists(st.sampled_from(["a", "b", "user_id", ""]), min_size=2, max_size=4).map(tuple)
    return RawMapping(
        columns=named,
        constants=draw(st.dictionaries(st.sampled_from(["interaction_type", "device_type"]), NAMES)),
        substitutes=draw(st.dictionaries(st.just("session_id"), st.just("user_id"))),
        words=draw(st.dictionaries(st.just("interaction_type"), st.dictionaries(WORDS, st.just("view"), min_size=1))),
        instants=draw(st.dictionaries(st.just("timestamp"), st.lists(formats, min_size=1, unique=True).map(tuple))),
        whole_numbers=draw(st.sampled_from([(), ("user_id", "item_id", "session_id")])),
        scales=draw(st.dictionaries(st.just("rating"), st.just((low, high)))),
        separator=draw(st.sampled_from([None, "\t", ";", "|", "~"])),
        header=draw(st.just(()) | header),
        has_typed_names=draw(st.booleans()),
        ignores_unknown=draw(st.booleans()),
        discards_invalid=draw(st.booleans()),
        endings=draw(st.dictionaries(st.sampled_from(["dat", "inter"]), st.just("csv"))),
    )


@given(mapping=mappings())
def test_the_options_of_a_mapping_amount_to_it(mapping: RawMapping) -> None:
    spec = TABLES[INTERACTIONS]
    assert parsed(options_of(mapping, spec), spec) == mapping


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_said_by_options_too(name: str) -> None:
    for table, of_table in PRESETS[name].tables.items():
        assert parsed(options_of(of_table.mapping, TABLES[table]), TABLES[table]) == of_table.mapping


@given(base=mappings(), over=mappings())
def test_over_a_mapping_each_column_has_the_later_word(base: RawMapping, over: RawMapping) -> None:
    merged = merge_mappings(base, over)
    assert merged.columns.items() >= over.columns.items()
    assert merged.constants.items() >= over.constants.items()
    assert merged.substitutes == {**base.substitutes, **over.substitutes}
    assert not {*merged.columns} & {*merged.constants}
    assert (merged.discards_invalid, merged.has_typed_names) == (
        base.discards_invalid or over.discards_invalid,
        base.has_typed_names or over.has_typed_names,
    )
