"""What settings decide about offline tickets: what becomes of people, SLA targets, and whether languages are told.

Pure values; the settings' texts are read here, so that every caller refuses the same ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from gata_assets.lake.tables import PRIORITIES
from gata_assets.tables.masking.tokens import NO_TOKENS, Tokens

# What a token of a person is called.
PERSON = "person"
_TARGET = re.compile(r"([a-z]+)=([0-9]{1,9}|-)/([0-9]{1,9}|-)")


class People(StrEnum):
    """What stands for a person: a token, the id of the helpdesk, or nothing."""

    PSEUDONYMIZED = "pseudonymized"
    AS_IS = "as-is"
    LEFT_OUT = "left-out"


@dataclass(frozen=True)
class SlaTargets:
    """The most calendar minutes up to the first reply and up to the solving, by priority."""

    first_reply: Mapping[str, int] = field(default_factory=dict)
    resolution: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> SlaTargets:
        """The targets of a setting's text.

        Args:
            text: `priority=minutes/minutes` with commas between, such as `urgent=60/480,high=240/1440,low=-/10080`;
                `-` is no target.

        Raises:
            ValueError: it is written otherwise.
        """
        first_reply: dict[str, int] = {}
        resolution: dict[str, int] = {}
        seen: set[str] = set()
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            found = _TARGET.fullmatch(part)
            if not found:
                raise ValueError(f"'{part}' is no target: write priority=minutes/minutes, such as urgent=60/480")
            priority, reply, solved = found.groups()
            if priority not in PRIORITIES:
                raise ValueError(f"'{priority}' is no priority: {', '.join(PRIORITIES)}")
            if priority in seen:
                raise ValueError(f"'{priority}' has two targets")
            seen.add(priority)
            first_reply |= {} if reply == "-" else {priority: int(reply)}
            resolution |= {} if solved == "-" else {priority: int(solved)}
        return cls(first_reply, resolution)


@dataclass(frozen=True)
class OfflineRules:
    """The rules of a tenant's offline tickets."""

    people: People = People.PSEUDONYMIZED
    tokens: Tokens = NO_TOKENS
    targets: SlaTargets = SlaTargets()
    has_language: bool = False

    def tokens_of(self, people: Iterable[str]) -> set[str]:
        """The tokens that days may have of people, by all keys."""
        return {token for one in people for token in self.tokens.every_token(PERSON, one)}

    @property
    def digest(self) -> str:
        """Differs for other rules, so that days by others are rebuilt. Of the key it has a token's digest."""
        key = self.tokens.token("rules", "") if self.people is People.PSEUDONYMIZED else None
        targets = [sorted(self.targets.first_reply.items()), sorted(self.targets.resolution.items())]
        decided = json.dumps([self.people.value, key, targets, self.has_language])
        return sha256(decided.encode()).hexdigest()[:16]
