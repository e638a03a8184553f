"""Small files of the shape of known formats, and the rows that plain Python makes of them.

Each has the format's headers and quirks, and a few rows that are wrong. Nothing of a public file is in them: users,
items and times are drawn.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gata_assets.interactions.tables import INTERACTIONS, ITEMS

Row = dict[str, object]


@dataclass(frozen=True)
class LookAlike:
    """A file of a preset's format: the rows that it has by the table's columns, and how many break which rule."""

    preset: str
    table: str
    name: str
    content: bytes
    rows: list[Row]
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Event:
    user: int
    item: int
    at: datetime
    number: int

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())


def _events(first: datetime, seed: int, count: int = 240) -> list[_Event]:
    """What 12 users did with 15 items in 20 days; no two events are at the same second."""
    drawn = random.Random(seed)
    seconds = drawn.sample(range(20 * 86_400), count)
    return [
        _Event(drawn.randint(1, 12), drawn.randint(101, 115), first + timedelta(seconds=at), number)
        for number, at in enumerate(seconds)
    ]


def _row(event: _Event, kind: str, **others: object) -> Row:
    return {
        "user_id": str(event.user),
        "item_id": str(event.item),
        "interaction_type": kind,
        "timestamp": event.at,
        "rating": None,
        "session_id": None,
        **others,
    }


def _item(
    name: object, title: str, category: str | None = None, price: float | None = None, brand: str | None = None
) -> Row:
    return {"item_id": str(name), "title": title, "category": category, "price": price, "brand": brand}


def _lines(lines: list[str], end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def _json_lines(rows: list[Row]) -> bytes:
    return _lines([json.dumps(row) for row in rows])


def movielens() -> LookAlike:
    """ratings.csv, with halves; a rating of 0 and a user that is not given are wrong."""
    events = _events(datetime(2015, 3, 1, tzinfo=UTC), 1)
    halves = [1 + event.number % 10 for event in events]
    lines = [
        f"{event.user},{event.item},{half / 2},{event.seconds}" for event, half in zip(events, halves, strict=True)
    ]
    lines += [f"7,101,0.0,{events[0].seconds}", f",101,3.0,{events[0].seconds}"]
    rows = [
        _row(event, "like", rating=1 + (half / 2 - 0.5) * 4 / 4.5) for event, half in zip(events, halves, strict=True)
    ]
    rejected = {"rating_is_1_to_5": 1, "user_id_is_given": 1}
    content = _lines(["userId,movieId,rating,timestamp", *lines], "\r\n")
    return LookAlike("movielens", INTERACTIONS, "ratings.csv", content, rows, rejected)


def movielens_items() -> LookAlike:
    """movies.csv, with a title in quotes."""
    lines = ["movieId,title,genres", '101,"Long Way, The (1999)",Drama|War', "102,Elm (2001),(no genres listed)"]
    rows = [_item(101, "Long Way, The (1999)", "Drama|War"), _item(102, "Elm (2001)", "(no genres listed)")]
    return LookAlike("movielens", ITEMS, "movies.csv", _lines(lines), rows)


def movielens_100k() -> LookAlike:
    """u.data: tabs, no header; a rating of 6 and a line of three columns are wrong."""
    events = _events(datetime(1998, 3, 1, tzinfo=UTC), 2)
    lines = [f"{event.user}\t{event.item}\t{1 + event.number % 5}\t{event.seconds}" for event in events]
    lines += [f"1\t101\t6\t{events[0].seconds}", "1\t101\t4"]
    rows = [_row(event, "like", rating=float(1 + event.number % 5)) for event in events]
    rejected = {"rating_is_1_to_5": 1, "row_fits_the_columns": 1}
    return LookAlike("movielens-100k", INTERACTIONS, "u.data", _lines(lines), rows, rejected)


def movielens_100k_items() -> LookAlike:
    """u.item: bars, no header, 24 columns; an accent in Latin-1 is no UTF-8."""
    rest = "|".join("0" * 19)
    lines = [f"{item}|Film {item} (1996)|01-Jan-1996||http://films.example/{item}|{rest}" for item in range(101, 115)]
    content = _lines(lines) + f"115|Caf\xe9 (1996)|01-Jan-1996|||{rest}\n".encode("latin-1")
    rows = [_item(item, f"Film {item} (1996)") for item in range(101, 115)]
    return LookAlike("movielens-100k", ITEMS, "u.item", content, rows, {"row_is_readable": 1})


def movielens_1m() -> LookAlike:
    """ratings.dat: two colons between columns, no header; a time in words is wrong."""
    events = _events(datetime(2000, 12, 1, tzinfo=UTC), 3)
    lines = [f"{event.user}::{event.item}::{1 + event.number % 5}::{event.seconds}" for event in events]
    rows = [_row(event, "like", rating=float(1 + event.number % 5)) for event in events]
    content = _lines([*lines, "1::101::3::yesterday"])
    return LookAlike("movielens-1m", INTERACTIONS, "ratings.dat", content, rows, {"timestamp_is_an_instant": 1})


def recbole() -> LookAlike:
    """shop.inter: names with types, seconds as decimals, a further column; an item that is not given is wrong."""
    events = _events(datetime(2014, 5, 1, tzinfo=UTC), 4)
    lines = [f"{event.user}\t{event.item}\t{1 + event.number % 5}\t{event.seconds}.0\tx" for event in events]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\treview:token_seq"
    rows = [_row(event, "click", rating=float(1 + event.number % 5)) for event in events]
    content = _lines([header, *lines, f"1\t\t3\t{events[0].seconds}\tx"])
    return LookAlike("recbole", INTERACTIONS, "shop.inter", content, rows, {"item_id_is_given": 1})


def recbole_items() -> LookAlike:
    """shop.item: a title by its other name, in one row none, and a price in words."""
    header = "item_id:token\tmovie_title:token_seq\tprice:float\tclass:token_seq\tyear:token"
    lines = [header, "101\tRed lamp\t9.5\tLight Home\t1999", "102\t\t3\tHome\t2000", "103\tRug\tcheap\t\t2001"]
    rows = [
        _item(101, "Red lamp", "Light Home", 9.5),
        _item(102, "102", "Home", 3.0),
        _item(103, "Rug"),
    ]
    return LookAlike("recbole", ITEMS, "shop.item", _lines(lines), rows)


def recbole_items_without_titles() -> LookAlike:
    """songs.item: ids and brands alone."""
    lines = ["item_id:token\tbrand:token", "101\tElm", "102\t"]
    rows = [_item(101, "101", brand="Elm"), _item(102, "102")]
    return LookAlike("recbole", ITEMS, "songs.item", _lines(lines), rows)


def amazon_2018() -> LookAlike:
    """Reviews in JSON Lines with nested fields, compressed; a rating of 0 is wrong, and so is half a line."""
    events = _events(datetime(2012, 8, 1, tzinfo=UTC), 5)

    def review(event: _Event, overall: float) -> Row:
        return {
            "overall": overall,
            "verified": True,
            "reviewTime": "08 1, 2012",
            "reviewerID": str(event.user),
            "asin": str(event.item),
            "style": {"Color:": " Blue"},
            "reviewerName": "A name",
            "reviewText": "A text,\n with two lines",
            "unixReviewTime": event.seconds,
            **({"vote": "3", "image": ["a.jpg"]} if event.number % 7 == 0 else {}),
        }

    rows = [_row(event, "like", rating=float(1 + event.number % 5)) for event in events]
    content = _json_lines([review(event, float(1 + event.number % 5)) for event in events] + [review(events[0], 0.0)])
    rejected = {"rating_is_1_to_5": 1, "row_is_readable": 1}
    packed = gzip.compress(content + b'{"overall": 5.0, "asin": "1\n', mtime=0)
    return LookAlike("amazon-reviews-2018", INTERACTIONS, "Elm_5.json.gz", packed, rows, rejected)


def amazon_2018_items() -> LookAlike:
    """Metadata: lists of descriptions and categories, prices with a currency, a title that is not given."""
    found: list[Row] = [
        {
            "category": ["A", "B"],
            "description": ["x"],
            "title": "Lamp",
            "brand": "Elm",
            "price": "$9.50",
            "asin": "101",
        },
        {"category": [], "description": [], "title": "", "also_buy": ["101"], "price": "", "asin": "102"},
    ]
    rows = [_item(101, "Lamp", brand="Elm"), _item(102, "102")]
    return LookAlike("amazon-reviews-2018", ITEMS, "meta_Elm.json", _json_lines(found), rows)


def amazon_2023() -> LookAlike:
    """Reviews in JSON Lines with milliseconds; a time in words is wrong."""
    events = _events(datetime(2021, 8, 1, tzinfo=UTC), 6)

    def review(event: _Event, at: object) -> Row:
        return {
            "rating": float(1 + event.number % 5),
            "title": "A title",
            "text": "A text",
            "images": [{"small_image_url": "a.jpg"}] if event.number % 5 == 0 else [],
            "asin": f"V{event.item}",
            "parent_asin": str(event.item),
            "user_id": str(event.user),
            "timestamp": at,
            "helpful_vote": 0,
            "verified_purchase": True,
        }

    millis = [event.seconds * 1_000 + event.number for event in events]
    content = _json_lines([review(event, at) for event, at in zip(events, millis, strict=True)])
    rows = [
        _row(
            event, "like", rating=float(1 + event.number % 5), timestamp=event.at + timedelta(milliseconds=event.number)
        )
        for event in events
    ]
    content += _json_lines([review(events[0], "yesterday")])
    return LookAlike("amazon-reviews-2023", INTERACTIONS, "Elm.jsonl", content, rows, {"timestamp_is_an_instant": 1})


def amazon_2023_items() -> LookAlike:
    """Metadata: prices that are numbers, null or words, and lists of descriptions."""
    shared = {"description": ["x"], "features": [], "details": {"Brand": "x"}, "average_rating": 4.5}
    found: list[Row] = [
        {**shared, "main_category": "Home", "title": "Lamp", "price": 9.5, "store": "Elm", "parent_asin": "101"},
        {**shared, "main_category": None, "title": "Rug", "price": "from 7.99", "store": None, "parent_asin": "102"},
        {**shared, "main_category": "Home", "title": "", "price": None, "store": None, "parent_asin": "103"},
    ]
    rows = [_item(101, "Lamp", "Home", 9.5, "Elm"), _item(102, "Rug"), _item(103, "103", "Home")]
    return LookAlike("amazon-reviews-2023", ITEMS, "meta_Elm.jsonl", _json_lines(found), rows)


def retailrocket() -> LookAlike:
    """events.csv: milliseconds and its own words; a word that means nothing is wrong."""
    words = {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"}
    events = _events(datetime(2015, 6, 1, tzinfo=UTC), 7)
    said = [list(words)[event.number % 3] for event in events]
    lines = [
        f"{event.seconds}{event.number % 1000:03},{event.user},{word},{event.item},{9 if word == 'transaction' else ''}"
        for event, word in zip(events, said, strict=True)
    ]
    rows = [
        _row(event, words[word], timestamp=event.at + timedelta(milliseconds=event.number % 1000))
        for event, word in zip(events, said, strict=True)
    ]
    header = "timestamp,visitorid,event,itemid,transactionid"
    content = _lines([header, *lines, f"{events[0].seconds}000,1,hover,101,"])
    return LookAlike("retailrocket", INTERACTIONS, "events.csv", content, rows, {"interaction_type_is_known": 1})


_REES46_HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"


def _rees46() -> tuple[list[_Event], list[str], list[str]]:
    events = _events(datetime(2019, 10, 1, tzinfo=UTC), 8)
    words = ["view", "cart", "purchase", "view", "remove_from_cart"]
    said = [words[event.number % 5] for event in events]
    lines = [
        f"{event.at:%Y-%m-%d %H:%M:%S} UTC,{word},{event.item},20530{event.item},{_code(event.item)},"
        f"{_brand(event.item)},{event.item + event.number / 100:.2f},{event.user},session-{event.user}"
        for event, word in zip(events, said, strict=True)
    ]
    return events, said, [_REES46_HEADER, *lines]


def _code(item: int) -> str:
    return "home.lamp" if item % 2 else ""


def _brand(item: int) -> str:
    return "elm" if item % 3 else ""


def rees46() -> LookAlike:
    """A month of a shop: times with UTC behind them; what was removed from a cart is no interaction."""
    events, said, lines = _rees46()
    kinds = {"view": "view", "cart": "add_to_cart", "purchase": "purchase"}
    rows = [
        _row(event, kinds[word], session_id=f"session-{event.user}")
        for event, word in zip(events, said, strict=True)
        if word in kinds
    ]
    rejected = {"interaction_type_is_known": said.count("remove_from_cart")}
    return LookAlike("rees46", INTERACTIONS, "2019-Oct.csv", _lines(lines), rows, rejected)


def rees46_items() -> LookAlike:
    """The items of the same file: an item's last row counts."""
    events, _, lines = _rees46()
    last = {event.item: event for event in events}
    rows = [
        _item(item, str(item), _code(item) or None, round(item + event.number / 100, 2), _brand(item) or None)
        for item, event in last.items()
    ]
    return LookAlike("rees46", ITEMS, "2019-Oct.csv", _lines(lines), rows)


def yoochoose_clicks() -> LookAlike:
    """Clicks without a header: sessions as users; a day without a time is wrong."""
    events = _events(datetime(2014, 4, 1, tzinfo=UTC), 9)
    lines = [f"{event.user},{event.at:%Y-%m-%dT%H:%M:%S}.{event.number:03}Z,{event.item},S" for event in events]
    rows = [
        _row(event, "click", session_id=str(event.user), timestamp=event.at + timedelta(milliseconds=event.number))
        for event in events
    ]
    content = _lines([*lines, "1,2014-04-01,101,0"])
    return LookAlike(
        "yoochoose-clicks", INTERACTIONS, "yoochoose-clicks.dat", content, rows, {"timestamp_is_iso_8601": 1}
    )


def yoochoose_items() -> LookAlike:
    """The items of clicks: an item's last category counts."""
    lines = [
        f"1,2014-04-07T10:51:09.277Z,{item},{category}" for item, category in ((101, "0"), (102, "S"), (101, "12"))
    ]
    rows = [_item(101, "101", "12"), _item(102, "102", "S")]
    return LookAlike("yoochoose-clicks", ITEMS, "yoochoose-clicks.dat", _lines(lines), rows)


def yoochoose_buys() -> LookAlike:
    """Purchases without a header, with prices and quantities."""
    events = _events(datetime(2014, 4, 1, tzinfo=UTC), 10)
    lines = [f"{event.user},{event.at:%Y-%m-%dT%H:%M:%S}.000Z,{event.item},1046,{event.number % 4}" for event in events]
    rows = [_row(event, "purchase", session_id=str(event.user)) for event in events]
    return LookAlike("yoochoose-buys", INTERACTIONS, "yoochoose-buys.dat", _lines(lines), rows)


LOOK_ALIKES: tuple[Callable[[], LookAlike], ...] = (
    movielens,
    movielens_items,
    movielens_100k,
    movielens_100k_items,
    movielens_1m,
    recbole,
    recbole_items,
    recbole_items_without_titles,
    amazon_2018,
    amazon_2018_items,
    amazon_2023,
    amazon_2023_items,
    retailrocket,
    rees46,
    rees46_items,
    yoochoose_clicks,
    yoochoose_items,
    yoochoose_buys,
)
