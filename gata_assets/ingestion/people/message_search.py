"""Looks for people in messages by no table: payloads of events, rejected messages, and what topics have.

A message that names another tenant than theirs is about people of that one. Avro, and whatever else is no text, has
texts as they are between bytes that may look like a part of them: there, ids of at least six characters count anywhere.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

from gata_assets.curation.layout import is_tenant_name
from gata_assets.governance.privacy.locators import People
from gata_assets.governance.privacy.searching import SHORTEST_WORD, Search
from gata_assets.ingestion.kafka.consuming.decoding import TENANT, is_avro
from gata_assets.ingestion.segments.rejected import Headers


class MessageSearch:
    """Counts the values of messages that are ids of people of a tenant."""

    def __init__(self, people: People, search: Search | None = None) -> None:
        """`search` is of the same people, if there is one."""
        self._people, self._search = people, search or Search(people)
        long = sorted(one.encode() for one in people.ids if len(one) >= SHORTEST_WORD)
        self._anywhere = re.compile(b"|".join(map(re.escape, long))) if long else None

    def count(self, value: bytes | None, key: bytes | None = None, headers: Headers = ()) -> int:
        """How many values of a message are theirs: 0 if it names another tenant."""
        texts = (key or b"").decode(errors="replace")
        of_key = [texts, texts.partition(":")[2]]
        if self._is_of_others(value, of_key[0].partition(":")[0]):
            return 0
        parts = [value, *(found for _, found in headers)]
        return sum(map(self._search.count_value, of_key)) + sum(self.count_payload(part) for part in parts if part)

    def count_payload(self, payload: bytes) -> int:
        """As `count`, of a payload whose tenant is known."""
        if is_avro(payload):
            return len(self._anywhere.findall(payload)) if self._anywhere else 0
        return self._search.count_value(payload)

    def _is_of_others(self, value: bytes | None, of_key: str) -> bool:
        """Whether a message names tenants, and theirs is none of them. A key may be the id of a person alone."""
        payload = readable(value)
        named = {of_key, payload.get(TENANT) if isinstance(payload, dict) else None} - {*self._people.ids}
        tenants = {name for name in named if isinstance(name, str) and is_tenant_name(name)}
        return bool(tenants) and self._people.tenant not in tenants


def readable(value: bytes | None) -> Any:
    """Bytes as JSON has them: what they mean as JSON, or else their text, or base64."""
    if value is None:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()
