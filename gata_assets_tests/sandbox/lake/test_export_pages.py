"""The sample export of a helpdesk. All real, nothing is faked."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

from gata_assets.sandbox.lake.pages import REPEATED, export_pages
from gata_assets.sandbox.lake.stories import KINDS, LakeParameters, all_versions, versions_of

PARAMETERS = LakeParameters(tickets=50, days=5)


def pages(size: int = 40) -> list[dict[str, Any]]:
    return [json.loads(page) for page in export_pages(PARAMETERS, size)]


def test_the_same_parameters_give_the_same_bytes() -> None:
    assert list(export_pages(PARAMETERS)) == list(export_pages(PARAMETERS))
    assert list(export_pages(PARAMETERS)) != list(export_pages(LakeParameters(seed=2, tickets=50, days=5)))


def test_a_ticket_is_the_same_whatever_others_there_are() -> None:
    fewer = LakeParameters(tickets=7, days=5, seed=PARAMETERS.seed)
    assert versions_of(fewer, 7)[0]["description"] == versions_of(PARAMETERS, 7)[0]["description"]


def test_pages_have_every_version_in_order_and_repeat_those_at_their_borders() -> None:
    found = pages()
    keys = [(raw["generated_timestamp"], raw["id"]) for page in found for raw in page["tickets"]]
    expected = sorted((raw["generated_timestamp"], raw["id"]) for raw in all_versions(PARAMETERS))
    assert sorted({*keys}) == expected and len(keys) == len(expected) + REPEATED * (len(found) - 1)
    for before, after in pairwise(found):
        assert before["tickets"][-REPEATED:] == after["tickets"][:REPEATED]
    assert [page["end_of_stream"] for page in found] == [False] * (len(found) - 1) + [True]
    assert all(page["count"] == len(page["tickets"]) for page in found)


def test_what_is_beside_the_tickets_is_all_that_they_refer_to() -> None:
    for page in pages():
        users, groups = ({item["id"] for item in page[name]} for name in ("users", "groups"))
        tickets = {raw["id"] for raw in page["tickets"]}
        assert {raw["requester_id"] for raw in page["tickets"]} <= users
        assert {raw["assignee_id"] for raw in page["tickets"]} - {None} <= users
        assert {raw["group_id"] for raw in page["tickets"]} <= groups
        assert Counter(item["ticket_id"] for item in page["metric_sets"]) == Counter(tickets)
        assert {comment["ticket_id"] for comment in page["comments"]} <= tickets


def test_there_are_deleted_merged_reopened_and_silently_changed_tickets() -> None:
    stories = [versions_of(PARAMETERS, number) for number in range(1, len(KINDS) + 1)]
    assert any(story[-1]["status"] == "deleted" and story[-1]["subject"] == "SCRUBBED" for story in stories)
    assert any("closed_by_merge" in story[-1]["tags"] for story in stories)
    assert any(story[-1]["metric_set"]["reopens"] for story in stories)
    silent = [pair for story in stories for pair in pairwise(story)]
    assert any(
        new["updated_at"] == old["updated_at"] and new["generated_timestamp"] > old["generated_timestamp"]
        for old, new in silent
    )


def test_an_export_without_tickets_is_one_empty_page() -> None:
    [page] = export_pages(LakeParameters(tickets=0))
    assert json.loads(page)["tickets"] == [] and json.loads(page)["end_of_stream"]
