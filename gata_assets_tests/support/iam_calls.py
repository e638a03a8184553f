"""The calls of S3 that a store made, as the rights that they take, and what policies say about them.

Real: the SDK's own events, one for each call. The evaluation here knows what the policies in deploy/ have: actions and
resources with `*`, `StringEquals` and `StringLike` on what a listing is limited to. No denials.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gata_assets.storage.s3 import S3StoreResource

_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}


@dataclass(frozen=True)
class Call:
    """A right that a call takes, on a key, or on a listing with its prefix."""

    action: str
    key: str
    delimiter: str = ""


@contextmanager
def calls_of(store: S3StoreResource) -> Iterator[set[Call]]:
    """What the store calls during the context."""
    found: set[Call] = set()

    def note(params: dict[str, Any], model: Any, **_: object) -> None:
        action = _ACTIONS[model.name]
        if action == "s3:ListBucket":
            found.add(Call(action, params["Prefix"], params.get("Delimiter", "")))
            return
        found.add(Call(action, params["Key"]))
        if "CopySource" in params:
            found.add(Call("s3:GetObject", params["CopySource"]["Key"]))
        # A condition on a version reads it.
        if "IfMatch" in params:
            found.add(Call("s3:GetObject", params["Key"]))

    def note_answer(http_response: Any, context: dict[str, Any], **_: object) -> None:
        # Whether an object is there, S3 says only to those who may list its key.
        if http_response.status_code == 404:
            found.add(Call("s3:ListBucket", context["s3_redirect"]["params"]["Key"]))

    events = store._client.meta.events
    events.register("provide-client-params.s3", note)
    events.register("after-call.s3.GetObject", note_answer)
    try:
        yield found
    finally:
        events.unregister("provide-client-params.s3", note)
        events.unregister("after-call.s3.GetObject", note_answer)


@dataclass(frozen=True)
class Right:
    """One action on one resource, by a statement of a policy; a listing by one prefix of it."""

    sid: str
    action: str
    resource: str
    prefix: str = "*"
    delimiter: str = ""

    def allows(self, call: Call, bucket: str) -> bool:
        """Whether it allows a call."""
        if not fnmatchcase(call.action, self.action):
            return False
        if call.action == "s3:ListBucket":
            is_limited = not self.delimiter or self.delimiter == call.delimiter
            is_of_bucket = fnmatchcase(f"arn:aws:s3:::{bucket}", self.resource)
            return is_of_bucket and fnmatchcase(call.key, self.prefix) and is_limited
        return fnmatchcase(f"arn:aws:s3:::{bucket}/{call.key}", self.resource)


def rights_of(policy: str) -> list[Right]:
    """The rights of a policy that S3 asks for, taken apart."""
    found = []
    for statement in json.loads(policy)["Statement"]:
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                conditions = {
                    name: value for one in statement.get("Condition", {}).values() for name, value in one.items()
                }
                prefixes = _listed(conditions.get("s3:prefix", "*"))
                delimiter = conditions.get("s3:delimiter", "")
                found += [Right(statement.get("Sid", ""), action, resource, prefix, delimiter) for prefix in prefixes]
    return [right for right in found if right.action.startswith("s3:")]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
