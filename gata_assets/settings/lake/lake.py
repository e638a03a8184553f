"""The settings of the ticket lake: whose tickets, and what becomes of people, languages and service levels."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gata_assets.lake.labels import KNOWN, LabelField, is_label_field
from gata_assets.lake.offline.rules import OfflineRules, People, SlaTargets
from gata_assets.settings.governance.keys import masking_keys, masking_tokens
from gata_assets.settings.values import SettingsGroup, comma_separated, tenant_names, wrong


def _targets(value: str) -> str:
    try:
        SlaTargets.parse(value)
    except ValueError as error:
        raise wrong(str(error)) from None
    return value


def _label_field(name: str) -> str:
    if not is_label_field(name):
        raise wrong(f"is none of {', '.join(KNOWN)}, where ID is the number of a custom field")
    return name


class LakeSettings(SettingsGroup):
    """The settings of the ticket lake."""

    tenants: Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(tenant_names)] | None = Field(
        None, alias="LAKE_TENANTS", examples=["acme,globex"]
    )
    """The tenants whose tickets are brought into the lake, separated by commas, or none; if unset, those of TENANTS, or
    else of all, that have raw files of tickets."""
    earliest_date: date = Field(date(2005, 1, 1), alias="LAKE_EARLIEST_DATE")
    """The first day on which a ticket may have been created; rows before it are rejected."""
    people: People = Field(People.PSEUDONYMIZED, alias="LAKE_PEOPLE")
    """What offline tickets have of requesters, assignees and submitters: tokens, the ids as they are, or nothing."""
    masking_key: Annotated[SecretStr | None, AfterValidator(masking_keys)] = Field(
        None, alias="LAKE_MASKING_KEY", examples=["32-random-characters-of-your-own"]
    )
    """The key by which people become tokens, at least 16 bytes; if unset, they become *** and cannot be joined.
    VERSION:KEY with commas between them as for MASKING_KEY."""
    has_language: bool = Field(False, alias="LAKE_LANGUAGE")
    """Whether the language of each ticket is detected. Needs the extra `language`."""
    sla_targets: Annotated[str, AfterValidator(_targets)] = Field(
        "", alias="SLA_TARGETS", examples=["urgent=60/480,high=240/1440,normal=480/2880,low=-/10080"]
    )
    """The most calendar minutes up to the first reply and up to the solving, by priority; if unset, no ticket is
    judged."""
    label_field: Annotated[str, AfterValidator(_label_field)] = Field(
        LabelField().name, alias="LABEL_FIELD", examples=["group"]
    )
    """The field of a ticket that is its label, where TICKETS_URL is lake://TENANT: group_id, group, type, priority,
    channel, satisfaction, language, or custom_fields.ID. Groups are those at closing."""

    @property
    def offline_rules(self) -> OfflineRules:
        """How rows of bronze become offline tickets."""
        tokens, targets = masking_tokens(self.masking_key), SlaTargets.parse(self.sla_targets)
        return OfflineRules(self.people, tokens, targets, self.has_language)

    @property
    def earliest_at(self) -> datetime:
        """The first instant at which a ticket may have been created."""
        return datetime.combine(self.earliest_date, time(), UTC)
