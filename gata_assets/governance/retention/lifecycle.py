"""The lifecycle rules of a bucket, as S3 takes them and as Terraform does. Pure.

A rule knows no manifest. So rules move data to other storage classes, and clean up versions and uploads; data that a
manifest may name is deleted by `applying` alone. Model artifacts and logs, which nothing here names, expire by rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gata_assets.errors import DataRuleError
from gata_assets.governance.retention.rules import ColdClass, DataType, RetentionRules
from gata_assets.governance.retention.scopes import MovedPrefix

# S3's limit of rules of a bucket.
_MOST_RULES = 1_000
# S3-IA and Glacier charge for at least so many bytes of an object.
_LEAST_BYTES = 128 * 1024
# Those that a bucket has without retention too, as `deploy/s3-lifecycle.json` has them.
_DAYS_OF_UPLOADS = 2
_UPLOADS = "ingestion/uploads/"


def lifecycle_rules(rules: RetentionRules, moved: Iterable[MovedPrefix]) -> list[dict[str, Any]]:
    """The rules of a bucket, all of them: S3 replaces those that it has.

    Raises DataRuleError for more prefixes than a bucket may have rules.
    """
    found = [
        {
            "ID": "uploads that were cut off",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _DAYS_OF_UPLOADS},
        },
        {
            "ID": "uploads of killed services",
            "Status": "Enabled",
            "Filter": {"Prefix": _UPLOADS},
            "Expiration": {"Days": _DAYS_OF_UPLOADS},
        },
        {
            "ID": "versions that were deleted or replaced",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": rules.noncurrent_days},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
        *(_rule(rules, prefix) for prefix in moved),
    ]
    if len(found) > _MOST_RULES:
        raise DataRuleError(
            f"{len(found):,} rules are needed, a prefix each, and a bucket takes {_MOST_RULES:,}: TENANTS may name "
            "those with the most data."
        )
    return found


def _rule(rules: RetentionRules, moved: MovedPrefix) -> dict[str, Any]:
    days = rules.days[moved.type]
    is_archived = not moved.is_read and (moved.type is not DataType.RAW or rules.cold_class is ColdClass.ARCHIVE)
    cold = ColdClass.ARCHIVE if is_archived else ColdClass.INSTANT
    rule: dict[str, Any] = {
        "ID": f"{moved.type} {moved.prefix}",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": moved.prefix, "ObjectSizeGreaterThan": _LEAST_BYTES}},
        "Transitions": [
            {"Days": days.warm, "StorageClass": "STANDARD_IA"},
            {"Days": days.cold, "StorageClass": cold.value},
        ],
    }
    if moved.type in (DataType.MODELS, DataType.LOGS):
        # Small ones expire too, and nothing is saved by moving them.
        rule["Filter"] = {"Prefix": moved.prefix}
        rule["Expiration"] = {"Days": days.delete}
    return rule


def as_configuration(rules: Sequence[Mapping[str, Any]]) -> str:
    """What `aws s3api put-bucket-lifecycle-configuration --lifecycle-configuration` takes."""
    return json.dumps({"Rules": list(rules)}, indent=2)


def as_terraform(rules: Sequence[Mapping[str, Any]], bucket: str) -> str:
    """A file `….tf.json` for Terraform, in its JSON syntax."""
    resource = {"bucket": bucket, "rule": [_terraform_rule(rule) for rule in rules]}
    return json.dumps({"resource": {"aws_s3_bucket_lifecycle_configuration": {"target": resource}}}, indent=2)


def _terraform_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": rule["ID"], "status": rule["Status"], "filter": _terraform_filter(rule["Filter"])}
    if "Transitions" in rule:
        found["transition"] = [{"days": to["Days"], "storage_class": to["StorageClass"]} for to in rule["Transitions"]]
    if "Expiration" in rule:
        names = {"Days": "days", "ExpiredObjectDeleteMarker": "expired_object_delete_marker"}
        found["expiration"] = {names[name]: value for name, value in rule["Expiration"].items()}
    if "NoncurrentVersionExpiration" in rule:
        days = rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        found["noncurrent_version_expiration"] = {"noncurrent_days": days}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        found["abort_incomplete_multipart_upload"] = {"days_after_initiation": days}
    return found


def _terraform_filter(found: Mapping[str, Any]) -> dict[str, Any]:
    if "And" in found:
        both = found["And"]
        return {"and": {"prefix": both["Prefix"], "object_size_greater_than": both["ObjectSizeGreaterThan"]}}
    return {"prefix": found["Prefix"]}
