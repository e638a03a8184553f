"""Texts of any kind reduced to [a-z0-9?.! ].

All real, nothing is faked. The examples are those of the documentation; single characters have an oracle here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.text_normalization import normalize_texts

PAGE = Path(__file__).parents[2] / "docs" / "text-normalization.md"
EXAMPLE = re.compile(r"^\| `(.+)` \| `(.*)` \| (\d+) \|$", re.MULTILINE)
EXAMPLES = [(json.loads(f'"{text}"'), found, int(lost)) for text, found, lost in EXAMPLE.findall(PAGE.read_text())]
NORMALIZED = re.compile(r"(?:[a-z0-9?.!]+(?: [a-z0-9?.!]+)*)?")

# Pieces of which constructs, and halves of them, are built.
PIECES = (
    *(
        "<b>",
        "</b>",
        "<p class='x'>",
        "<br",
        "<",
        ">",
        "/>",
        "<!--",
        "-->",
        "<style>",
        "</style>",
        "<script>",
        "</script>",
    ),
    *(
        "<blockquote type='cite'>",
        "</blockquote>",
        "&",
        "&amp;",
        "&lt;",
        "&gt;",
        "&#119;",
        "&#",
        "&#12",
        "&shy;",
        "&uuml",
        ";",
        "\n",
    ),
    *(
        "> ",
        "On 5 May ",
        "Am 5. Mai ",
        "wrote:",
        "schrieb",
        ":",
        "--",
        "Original Message",
        "http://",
        "www.",
        "WW",
        "@",
    ),
    *(
        "a",
        "Z",
        "0",
        ".",
        "?",
        "!",
        ",",
        "_",
        " ",
        "\t",
        "\r\n",
        "\x00",
        "\x7f",
        "\u00a4",
        "\u00df",
        "\u0416",
        "\u00e9",
    ),
    *("\u0301", "\u200b", "\u00ad", "\uff1c", "\uff37", "\U0001f600", "\u2028", "\u212a", "\u0130"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20)


def normalized(*given_texts: str | None) -> list[tuple[str | None, int]]:
    found = normalize_texts(pl.Series(given_texts, dtype=pl.String))
    return list(zip(found.texts.to_list(), found.characters_lost.to_list(), strict=True))


@pytest.mark.parametrize(("text", "expected", "lost"), EXAMPLES)
def test_a_text_becomes_what_the_documentation_says(text: str, expected: str, lost: int) -> None:
    assert normalized(text) == [(expected, lost)]


def test_the_documentation_has_examples() -> None:
    assert len(EXAMPLES) > 20


@given(found=st.lists(texts | st.none(), min_size=1, max_size=6))
def test_a_result_is_clean_final_and_independent_of_other_texts(found: list[str | None]) -> None:
    results = normalized(*found)
    assert normalized(found[0]) == results[:1]
    assert normalized(*(result for result, _ in results)) == [(result, 0) for result, _ in results]
    for text, (result, lost) in zip(found, results, strict=True):
        assert (text is None) == (result is None)
        assert result is None or NORMALIZED.fullmatch(result)
        assert 0 <= lost <= len(text or "")


@given(text=st.text(st.characters(exclude_characters="<>&@:", exclude_categories=["Cs"]), max_size=30))
def test_texts_without_markup_are_folded_character_by_character(text: str) -> None:
    text = re.sub("www", "", text, flags=re.IGNORECASE)
    result, lost = normalized(text)[0]
    expected = "".join(fold(character) for character in text)
    assert result == " ".join(re.sub("[^a-z0-9?.!]", " ", expected).split())
    assert lost == expected.count("#")


@pytest.mark.parametrize(
    "piece",
    [
        *("<style ><!---->", "<script ><style ></style>", "<a \"'", "<a '>", "<a <", "<", "<!--", "<blockquote cite>"),
        *(
            "&",
            "&#1",
            "&#65;",
            "on 1 ",
            "on 1\n",
            "am 1 schrieb\n",
            "> ",
            "--",
            "-- original message ",
            "a@",
            "a",
            "www.",
        ),
        *("http://", "\u0416", "\u0301", "\U0001f600", " ", "\n"),
    ],
)
def test_a_hostile_text_takes_no_longer_than_its_length_allows(piece: str) -> None:
    # Ends in milliseconds where a pass is linear, and in minutes where one is not.
    size = 400_000
    text = piece * (size // len(piece))
    assert len(normalized(text, f"x {text} y")) == 2


# Letters that Unicode does not decompose, as the documentation lists them.
REPLACED = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", **dict(zip("øđðħıȷłŋŧƒə", "oddhijlntfe", strict=True))}


def fold(character: str) -> str:
    """The oracle for a character: what it becomes, and `#` if a letter or digit is lost."""
    if character.isascii():
        return character.lower().replace("#", " ")
    kept, lost = "", ""
    for part in unicodedata.normalize("NFKD", character).lower():
        if part in REPLACED:
            kept += REPLACED[part]
        elif part.isdecimal():
            kept += str(int(part))
        elif part.isascii():
            kept += part.replace("#", " ")
        elif unicodedata.category(part)[0] == "M" or unicodedata.category(part) == "Cf":
            continue
        elif unicodedata.category(part)[0] in "LN" and part != "\u02bc":
            lost = "#"
        else:
            kept += " "
    return kept + lost
