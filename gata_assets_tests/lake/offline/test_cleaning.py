"""Subjects and bodies as plain text. All real; what HTML should give is known from the lines that it is built of."""

from __future__ import annotations

from html import escape

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.lake.offline.cleaning import clean_bodies, clean_subjects
from gata_assets_tests.lake.offline.stories import only

FAMILY = "👨\u200d👩\u200d👧"


def body(text: str | None) -> str | None:
    found: str | None = clean_bodies(pl.Series([text], dtype=pl.String))[0]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "a < b and b > c",
        "Write to <john@x.org>, or to Jane <jane.doe@example.com>.",
        "if (a<b && c>d) { return x<y; }",
        "std::vector<int> x; List<String> y;",
        "1 <2> 3 <- 4 <= 5 <3",
        "See https://example.com/?a=1&copy=2&lt=3",
        "R&D; Q&A; &unknown; &",
        f"Emoji {FAMILY} 🏴\U000e0067\U000e0062\U000e007f ❤️ stay",
        "می‌خواهم ادامه دهم",
        "שלום עולם",
        "one\n\ntwo\nthree",
    ],
)
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    assert body(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>a</p><p>b</p>", "a\nb"),
        ("<p>a<p>b", "a\nb"),
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
        ("<div>A</div><div><br></div><div>B</div>", "A\n\nB"),
        ("A<br></div>B", "A\nB"),
        ("<p class=MsoNormal>a<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p><p>b</p>", "a\n\nb"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>", "a b\nc d"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<div>one\r\n  line\twith   spaces</div>", "one line with spaces"),
        ("H<sub>2</sub>O and <b>bo</b>ld<br>x", "H2O and bold\nx"),
        ("x<pre>\na\n  b\n</pre>y", "x\na\nb\ny"),
        ("<style>p{color:red}</style><!-- <p>no</p> --><script>if(a<b){}</script><title>t</title>ok", "ok"),
        ("<html><head><style><!-- x --></style><title>t</title></head><body>ok</body></html>", "ok"),
        ("<!--[if mso]><p>no</p><![endif]-->yes<br>", "yes"),
        ("<p title='a>b'>x</p>", "x"),
        ('<p class="x>y</p>z', "y\nz"),
        ("<p>AT&amp;T &lt;b&gt; &#8364; &#150; &copy</p>", "AT&T <b> € – ©"),
        ("<div>from &lt;john@x.org&gt;, or <jane@x.org></div>", "from <john@x.org>, or <jane@x.org>"),
        ("<div>me</div><blockquote type='cite'>you<br>said</blockquote>-- <br>Jane", "me\nyou\nsaid\n--\nJane"),
        ("Press <b>here</b>\nsecond line", "Press here\nsecond line"),
        ("AT&amp;T &#x20AC; &lt;b&gt;", "AT&T € <b>"),
        ("<p>a\x1fb\x1ec</p>", "abc"),
        ("<p>&nbsp;&zwnj;&nbsp;&zwnj;</p>", None),
    ],
)
def test_html_has_the_lines_that_a_browser_shows(text: str, expected: str | None) -> None:
    assert body(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a \t b  ", "a b"),
        ("a\r\nb\rc\x0bd\u2028e", "a\nb\nc\nd\ne"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("a \n b", "a\nb"),
        ("\ufeffa\u200bb\u00adc\u2060d\x00e\x7ff", "abcdef"),
        ("\u202bשלום\u202c", "שלום"),
        ("a\u00a0\u2003b", "a b"),
        ("\u200b", None),
        ("", None),
        (" \n\t ", None),
        (None, None),
    ],
)
def test_white_space_and_invisible_characters_are_tidied(text: str | None, expected: str | None) -> None:
    assert body(text) == expected


def test_a_subject_is_one_line() -> None:
    subjects = pl.Series(["Re:\n\n a &amp;\r\n<b>b</b>", None, " "], dtype=pl.String)
    assert clean_subjects(subjects).to_list() == ["Re: a & b", None, None]


# Whatever lines a mail has, every way of writing them gives the same lines.
LINES = st.lists(
    st.text(st.sampled_from("abc xyz&<>\"'ü😢שlt;#"), min_size=1, max_size=12)
    .map(lambda line: " ".join(line.split()))
    .filter(bool),
    min_size=1,
    max_size=6,
)
WAYS = {
    "breaks": lambda lines: "<html><body>" + "<br>\r\n".join(lines) + "</body></html>",
    "paragraphs": lambda lines: "".join(f"<p>{line}\r\n</p>" for line in lines),
    "open paragraphs": lambda lines: "".join(f"<p>{line}" for line in lines),
    "divisions": lambda lines: '<div dir="ltr">' + "".join(f"<div>{line}</div>" for line in lines) + "</div>",
    "rows": lambda lines: "<table>" + "".join(f"<tr><td>{line}</td></tr>" for line in lines) + "</table>",
    "outlook": lambda lines: "".join(
        f'<p class="MsoNormal"><span style="font-family:&quot;C&quot;">{line}<o:p></o:p></span></p>' for line in lines
    ),
    "preformatted": lambda lines: "<pre>" + "\n".join(lines) + "</pre>",
    "capitals": lambda lines: "".join(f"<P ALIGN=left>{line}</P>" for line in lines),
}


@pytest.mark.parametrize("way", WAYS)
@given(LINES)
def test_lines_come_out_of_every_kind_of_html_as_they_went_in(way: str, lines: list[str]) -> None:
    assert body(WAYS[way]([escape(line) for line in lines])) == "\n".join(lines)


PIECES = (  # Tags, comments and entities, and halves of them.
    "<p>",
    "</p>",
    "<b",
    "<!--",
    "-->",
    "<style>",
    "&",
    "&lt;",
    "amp;",
    '"',
    "'",
    ">",
    "<",
    "\x1f",
    "\x1e",
    "a",
    " ",
    "\n",
    "<pre>",
)
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(HOSTILE)
def test_no_text_breaks_the_cleaning_and_none_keeps_a_control_character(text: str) -> None:
    found = body(text)
    assert found is None or (found == found.strip() and not {"\x1f", "\x1e", "\r"} & {*found} and "\n\n\n" not in found)


@given(st.lists(st.text(st.sampled_from("ab <>&\n\t\u200b\u00a0\x1fü"), max_size=8) | st.none(), max_size=8))
def test_a_text_is_cleaned_the_same_whatever_is_beside_it(texts: list[str | None]) -> None:
    column = pl.Series(texts, dtype=pl.String)
    assert clean_bodies(column).to_list() == [body(text) for text in texts]
    assert column.to_list() == texts


@pytest.mark.parametrize(
    "piece", ["<div>", '<b "', "<!--", "<pre", "<p><a href='", "&", "\n <br> ", " \u200c", "<style>"]
)
def test_a_hostile_text_of_megabytes_is_cleaned(piece: str) -> None:
    # In quadratic time this would not end.
    found = body("<p>begin</p>" + piece * (1_000_000 // len(piece)) + "<p>end</p>")
    assert found is not None and found.startswith("begin")


def test_a_body_of_five_megabytes_stays_whole() -> None:
    line = "<p>All work &amp; no play</p>"
    found = only(description=line * (5_000_000 // len(line)))
    assert found["body"].count("\n") == 5_000_000 // len(line) - 1
    assert {*found["body"].split("\n")} == {"All work & no play"}


def test_the_normalized_text_is_that_of_the_texts_as_they_came() -> None:
    found = only(subject="Hello &amp; bye", description="<p>Café</p><blockquote type='cite'>quoted</blockquote>")
    assert (found["subject"], found["body"], found["text"]) == ("Hello & bye", "Café\nquoted", "hello bye cafe")
