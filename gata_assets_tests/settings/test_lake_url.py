"""TICKETS_URL=lake://TENANT: what is read from there, and what cannot go with it."""

from __future__ import annotations

import pytest

from gata_assets.definitions import open_source
from gata_assets.errors import SettingsError
from gata_assets.lake.ticket_source import LakeTickets
from gata_assets.settings.model import parse_settings
from gata_assets.settings.values import SourceKind

GIVEN = {"TICKETS_URL": "lake://acme", "LOW_VOLUME_FALLBACK_LABEL": "7"}


def test_a_lake_is_a_source_with_its_label_and_the_largest_text() -> None:
    settings = parse_settings({**GIVEN, "LABEL_FIELD": "priority", "MAX_TICKET_BYTES": "60000"})
    assert (settings.tickets.source_kind, settings.tickets.lake_tenant) == (SourceKind.LAKE, "acme")
    source = open_source(settings)
    assert isinstance(source, LakeTickets)
    assert (source.tenant, source.label_field, source.largest_text) == ("acme", "priority", 60_000)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TICKETS_URL": "lake://"}, "TICKETS_URL: is not lake://TENANT"),
        ({"TICKETS_URL": "lake://Acme"}, "TICKETS_URL: is not lake://TENANT"),
        ({"TICKETS_URL": "lake://acme/tickets"}, "TICKETS_URL: is not lake://TENANT"),
        ({"TICKETS_QUERY": "SELECT 1 AS id"}, "TICKETS_QUERY goes with a database"),
        ({"LOW_VOLUME_FALLBACK_LABEL": ""}, "LOW_VOLUME_FALLBACK_LABEL is missing"),
        ({"TICKETS_URL": "lakes://acme"}, "neither sqlite.* nor lake://tenant"),
    ],
)
def test_what_does_not_go_with_a_lake_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_settings({**GIVEN, **variables})
