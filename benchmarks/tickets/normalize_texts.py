"""Text normalization: texts per second of processor time, against the same rules in plain Python.

Texts are of three kinds, and all mixed: reduced already, plain with capitals and punctuation, and as mail programs send
them, with markup, entities, quoted replies, umlauts and addresses. The peer is a function for one text with `re`,
`unicodedata` and `html`; its results are compared with ours. Time is processor time of all threads, the median of
rounds that alternate.

Where the time goes, of raw texts: a third into tags and the contents of styles and heads, a quarter into single spaces
(by bytes; a pattern takes almost twice as long), a sixth into quoted replies, an eighth into characters outside of
ASCII, the rest into entities, addresses and the search for the marks of each pass.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from statistics import median
from time import process_time

import numpy as np
import polars as pl

from benchmarks.harness import Cell, Goal, Result, Table
from gata_assets.tables.text_normalization import _ELEMENTS, _LETTERS, normalize_texts

_GOAL = 100_000
_CHARACTERS = 600
_UMLAUTS = str.maketrans({"a": "\u00e4", "o": "\u00f6", "u": "\u00fc"})


def run(*, quick: bool) -> Result:
    """Measure; `quick` with few texts."""
    size, times = (2_000, 2) if quick else (100_000, 7)
    rows: list[list[Cell]] = []
    per_second, ratio = {}, {}
    for kind, texts in _kinds(size).items():
        sample = texts[: size // 20]
        ours, peer = _in_turns(lambda texts=texts: normalize_texts(texts), lambda s=sample: _peer(s), times)  # type: ignore[misc]
        if normalize_texts(sample).texts.to_list() != _peer(sample):
            raise RuntimeError(f"{kind}: the peer has other texts")
        characters = float(texts.str.len_chars().mean())  # type: ignore[arg-type]
        per_second[kind] = size / ours * characters / _CHARACTERS
        ratio[kind] = peer / len(sample) / (ours / size)
        rows.append([kind, f"{size:,}", characters, ours, per_second[kind], ratio[kind]])
    return Result(
        what=(
            f"Texts of about {_CHARACTERS} characters. Of the raw ones, half have markup with entities, a third end in "
            "a quoted reply, a fifth have umlauts, 5 % have words in another script, and a tenth has an address. Texts "
            f"per second are for exactly {_CHARACTERS} characters."
        ),
        says=(
            f"A second of processor time is enough for {per_second[_MIXED]:,.0f} mixed texts, "
            f"{ratio[_MIXED]:.1f} times as many as in plain Python."
        ),
        tables=[
            Table(
                "Text normalization:",
                ["texts", "number", "characters", "processor seconds", "texts per second", "times plain Python"],
                rows,
            )
        ],
        goals=[
            Goal(
                f"{_GOAL:,} raw texts with markup and quotes per second of processor time",
                f"{per_second[_RAW]:,.0f}",
                per_second[_RAW] >= _GOAL,
            )
        ],
    )


_REDUCED, _PLAIN, _RAW, _MIXED = "reduced already", "plain", "raw", "a third of each"


def _kinds(size: int) -> dict[str, pl.Series]:
    rng = np.random.default_rng(5)
    plain = [_sentences(rng) for _ in range(size)]
    raw = [_as_sent(text, number, rng) for number, text in enumerate(plain)]
    reduced = normalize_texts(pl.Series(plain)).texts.to_list()
    mixed = [(reduced, plain, raw)[number % 3][number] for number in range(size)]
    return {kind: pl.Series(texts) for kind, texts in zip(_KINDS, (reduced, plain, raw, mixed), strict=True)}


_KINDS = (_REDUCED, _PLAIN, _RAW, _MIXED)
_LETTERS_BY_USE = np.array(list("etaoinshrdlcumwfgypbvkjxqz"))
_WORDS = ["".join(np.random.default_rng(seed).choice(_LETTERS_BY_USE[:20], 2 + seed % 9)) for seed in range(5_000)]


def _sentences(rng: np.random.Generator) -> str:
    """About 600 characters: each eighth word ends a clause or a sentence, each fifth sentence a paragraph."""
    text = ""
    for number, place in enumerate(rng.integers(0, len(_WORDS), _CHARACTERS // 8).tolist()):
        word = _WORDS[place]
        text += word.capitalize() if number % 16 == 0 else word
        text += (", ", ". ", "\n\n")[number // 8 % 5 // 2] if number % 8 == 7 else " "
    return text.strip()


def _as_sent(text: str, number: int, rng: np.random.Generator) -> str:
    """A text as a mail program sends it."""
    if rng.random() < 0.2:
        text = " ".join(word.translate(_UMLAUTS) if rng.random() < 0.3 else word for word in text.split(" "))
    if rng.random() < 0.05:
        text += " \u043f\u0440\u0438\u0432\u0435\u0442 \u65e5\u672c\u8a9e \U0001f600"
    if number % 10 == 0:
        text += f" https://example.com/case/{number}?a=b jane.doe@example.com"
    has_markup = rng.random() < 0.5
    if number % 3 == 0:
        middle = len(text) // 2
        lines = [text[start : start + 72].replace("\n", " ") for start in range(middle, len(text), 72)]
        text = f"{text[:middle]}\n\nOn Mon, Jan 5, 2026 at 10:00 AM Jane Doe wrote:\n> " + "\n> ".join(lines)
    if has_markup:
        parts = text.split("\n")
        marked = '</p>\r\n<p style="margin: 0">'.join(part.replace(", ", ",&nbsp;", 1) for part in parts)
        text = f"<html><head><style>p {{margin: 0}}</style></head><body><p>{marked} <b>&amp;</b></p></body></html>"
    return text


def _in_turns(ours: Callable[[], object], peer: Callable[[], object], times: int) -> tuple[float, float]:
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for function, measured in zip((ours, peer), seconds, strict=True):
            started = process_time()
            function()
            measured.append(process_time() - started)
    return median(seconds[0]), median(seconds[1])


_CONTENTS = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        "<!--.*?-->",
        *(rf"<{name}[\s>].*?</{name}\s*>" for name in ("style", "script", "head", "title")),
        r"<blockquote\s[^<>]*(?:cite|gmail_quote)[^<>]*>.*?</blockquote\s*>",
    )
]
_NAME = f"(?:{'|'.join(_ELEMENTS.split())}|(?:[movwx]|st1):[a-z0-9]+)"
_TAGS = re.compile(rf"</?{_NAME}(?:[\s/][^<>]*)?>|<!(?:doctype|\[)[^<>]*>|<\?xml[^<>]*>")
_QUOTES = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^[ \t]*>[^\n]*",
        r"^[ \t]*on [^\n]*[0-9][^\n]*(?:\n[^\n]*)?wrote:[ \t\r]*$",
        r"^[ \t]*-{2,}[ \t]*original message[ \t]*-{2,}(?s:.*)",
    )
]
_ADDRESSES = re.compile(r"(?:https?|ftp)://\S*|(?:\b|_)www\.\S*|(?:mailto:)?[a-z0-9._%+-]+@[a-z0-9.-]+")
_OTHERS = re.compile(r"[^a-z0-9?.!]+")


def _peer(texts: pl.Series) -> list[str]:
    return [_normalize_one(text) for text in texts.to_list()]


def _normalize_one(text: str) -> str:
    text = text.lower()
    for pattern in _CONTENTS:
        text = pattern.sub(" ", text)
    text = html.unescape(_TAGS.sub("\n", text))
    text = "".join(_LETTERS.get(part, part) for part in unicodedata.normalize("NFKD", text))
    text = "".join(part for part in text if part.isascii() or unicodedata.category(part)[0] != "M")
    for pattern in _QUOTES:
        text = pattern.sub(" ", text)
    return _OTHERS.sub(" ", _ADDRESSES.sub(" ", text)).strip()
