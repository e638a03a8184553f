"""The user's query is one SELECT statement or refused, and parameters are replaced where they are parameters."""

from __future__ import annotations

import pytest

from gata_assets.tickets.sources.sql_text import QueryError, parse_query, replace_parameters


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ("select 1 AS id;\n", "select 1 AS id"),
        ("-- tickets\nSELECT 1 -- one ; two\n;; -- end", "-- tickets\nSELECT 1"),
        ("WITH a AS (SELECT 1) SELECT * FROM a /* ; ) */", "WITH a AS (SELECT 1) SELECT * FROM a"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(SELECT 1) UNION ALL (SELECT 2)"),
        ("SELECT ':x $1 ;)'::text, \"a;b\", $$;)$$", "SELECT ':x $1 ;)'::text, \"a;b\", $$;)$$"),
        ("SELECT 'it''s'", "SELECT 'it''s'"),
        ("SELECT E'\\';', /* a /* b */ ; */ 2", "SELECT E'\\';', /* a /* b */ ; */ 2"),
    ],
)
def test_a_query_loses_semicolons_and_comments_after_it_alone(given: str, query: str) -> None:
    assert parse_query(given) == query


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "must be one SELECT statement"),
        ("-- nothing", "must be one SELECT statement"),
        ("DELETE FROM ticket", "must be one SELECT statement"),
        ("selected", "must be one SELECT statement"),
        ("SELECT 1; DROP TABLE ticket", "has several statements"),
        ("SELECT 1) AS t; SELECT (2", "has several statements"),
        ("SELECT 1) AS a, (SELECT 2", "has parentheses that do not match"),
        ("SELECT (1", "has parentheses that do not match"),
        ("SELECT 1 FROM t /* of /* all */ WHERE x", "has a comment .* without its end"),
        ("SELECT 1 /*/", "has a comment .* without its end"),
        ("SELECT 'a", "has a quotation mark ' without its end"),
        ('SELECT "a', 'has a quotation mark " without its end'),
        ("SELECT * FROM t WHERE closed > :start", "has a parameter :start"),
        ("SELECT * FROM t WHERE closed > $1", r"has a parameter \$1"),
    ],
)
def test_what_is_no_single_select_statement_is_refused(given: str, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        parse_query(given)


def test_a_parameter_is_replaced_and_nothing_else_that_looks_like_one() -> None:
    sql = "SELECT ':a', b::a, \"c:a\", :a, :ab -- :a\n /* :a */ FROM x WHERE y = :a"
    expected = "SELECT ':a', b::a, \"c:a\", $1, $2 -- :a\n /* :a */ FROM x WHERE y = $1"
    assert replace_parameters(sql, {"a": "$1", "ab": "$2"}) == expected
