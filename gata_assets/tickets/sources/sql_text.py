"""Text of SQL: its tokens, and the user's own query, which must be one SELECT statement.

Pure. A database has the last word on a query: sources run it inside a larger statement, where nothing else than a query
can be, in read-only transactions. What is found here is found before anything connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Identifiers and numbers are separate tokens so that `a$1`, `$` in names and the e of `some'` are not misread. An
# unterminated literal or comment extends to the end; the database reports it.
_TOKEN = re.compile(
    r"""
      (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*(?:'(?:\s*\n\s*'(?:[^'\\]|''|\\.)*')*|\Z))
    | (?P<literal>'(?:[^']|'')*(?:'|\Z))
    | (?P<quoted>"(?:[^"]|"")*(?:"|\Z))
    | (?P<dollar>(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z))
    | (?P<line>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d\w*)
    | (?P<cast>::)
    | (?P<named>:[^\W\d]\w*)
    | (?P<positional>\$\d+)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_COMMENTS = frozenset({"line", "block"})
_QUOTES = {"literal": "'", "quoted": '"'}


class QueryError(ValueError):
    """A text that is not one SELECT statement; the message is about the text alone."""


@dataclass(frozen=True)
class Token:
    """A token of SQL, from `start` to `end` of its text; `kind` is the name of its group in the pattern."""

    kind: str
    text: str
    start: int
    end: int


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of a statement in PostgreSQL's syntax, without white space, operators and punctuation."""
    at = 0
    while (found := _TOKEN.search(sql, at)) is not None:
        kind, at = str(found.lastgroup), found.end()
        if kind == "block":
            at = _end_of_block_comment(sql, at)
        yield Token(kind, sql[found.start() : at], found.start(), at)


def _end_of_block_comment(sql: str, at: int) -> int:
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(sql, at)) is not None:
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return len(sql) if depth else at


def replace_parameters(sql: str, replacements: Mapping[str, str]) -> str:
    """The statement with another text for each `:name`; literals, comments and casts stay as they are.

    Raises KeyError for a name without a replacement.
    """
    parts, done = [], 0
    for token in tokens(sql):
        if token.kind == "named":
            parts += [sql[done : token.start], replacements[token.text[1:]]]
            done = token.end
    return "".join([*parts, sql[done:]])


def parse_query(text: str) -> str:
    """The query without comments and semicolons after it, to be put between parentheses.

    Raises:
        QueryError: For anything but one SELECT statement (or WITH … SELECT), or if it has parameters.
    """
    code = text
    for token in tokens(text):
        if token.kind == "named":
            raise QueryError(
                f"has a parameter {token.text}: write the value itself; in a slice of an array, a space after the colon"
            )
        if token.kind == "positional":
            raise QueryError(f"has a parameter {token.text}: write the value itself")
        if token.kind == "block" and (len(token.text) < len("/**/") or not token.text.endswith("*/")):
            raise QueryError("has a comment /* without its end, or one within another")
        quote = _QUOTES.get(token.kind)
        if quote and token.text.count(quote) % 2:
            raise QueryError(f"has a quotation mark {quote} without its end")
        if token.kind in _COMMENTS or token.kind in ("literal", "escaped", "quoted", "dollar"):
            blank = " " if token.kind in _COMMENTS else "x"
            code = code[: token.start] + blank * (token.end - token.start) + code[token.end :]
    end = len(code.rstrip("; \t\r\n\f\v"))
    _require_one_select(code[:end])
    return text[:end].strip()


def _require_one_select(code: str) -> None:
    """Check a query whose comments are blank and whose literals are letters."""
    first = re.match(r"[\s(]*(\w*)", code)
    if first is None or first[1].upper() not in ("SELECT", "WITH"):
        raise QueryError("must be one SELECT statement, or WITH … SELECT")
    if ";" in code:
        raise QueryError("has several statements: it must be one SELECT statement")
    depth = 0
    for character in code:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
    if depth:
        raise QueryError("has parentheses that do not match")
