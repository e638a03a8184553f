"""What MLflow is told of a dataset, from its manifest alone: counts, labels, settings and digests, never a row.

Pure. The lengths are MLflow's limits, those of servers of 2022 where later ones take more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gata_assets.storage.finished import DatasetUse
from gata_assets.tables.manifests import Manifest

# MLflow's dataset digest is shorter than a SHA-256, which DIGEST_TAG has whole.
DIGEST_CHARACTERS = 36
DIGEST_TAG, URI_TAG = "gata.digest", "gata.manifest_uri"
MOST_PARAMS, MOST_PARAM_CHARACTERS = 100, 500
MOST_METRICS = 500
# Details of a manifest that are no measures: spans of time, and counts that the profile has by label.
_NO_MEASURES = frozenset({"windows", "labels", "by_label"})
# What MLflow takes in names of metrics.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_\-. /]")


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset and the run that it is logged by.

    Attributes:
        name: of the dataset: `gata-general`, or `acme/features` with its tenant's name.
        digest: the first 36 characters of the manifest's.
        context: `training` or `features`.
        source_type: `s3` or `local`, as MLflow's own sources.
        source: where the manifest is, as JSON.
        schema: columns and types as JSON of MLflow's column specification.
        profile: counts, label distribution, windows and inputs as JSON.
        run_name: the dataset's name with its batch.
        params: settings that the dataset was built with.
        metrics: counts and measures.
        tags: batch, tenant, whole digest, manifest, code.
    """

    name: str
    digest: str
    context: str
    source_type: str
    source: str
    schema: str
    profile: str
    run_name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def dataset_record(manifest: Manifest, uri: str, use: DatasetUse, tenant: str | None) -> DatasetRecord:
    """The record of a finished dataset.

    Args:
        manifest: Its manifest.
        uri: Where that is: `s3://bucket/key`, or an absolute path.
        use: What the dataset is for.
        tenant: Whose it is, None for tickets.
    """
    name = f"{tenant}/{manifest.kind}" if tenant else manifest.kind
    batch_id = str(manifest.details.get("batch_id", ""))
    tags = {
        DIGEST_TAG: manifest.digest,
        URI_TAG: uri,
        "gata.dataset": name,
        "gata.batch_id": batch_id,
        "gata.code_version": manifest.code_version,
        **({"gata.tenant": tenant} if tenant else {}),
    }
    return DatasetRecord(
        name=name,
        digest=manifest.digest[:DIGEST_CHARACTERS],
        context=use.value,
        source_type="s3" if uri.startswith("s3://") else "local",
        source=json.dumps({"uri": uri}),
        schema=json.dumps({"mlflow_colspec": [*_columns(manifest.schema)]}),
        profile=json.dumps(_profile(manifest)),
        run_name=f"{name} {batch_id}".strip(),
        params=_params(manifest.settings),
        metrics=_metrics(manifest),
        tags=tags,
    )


def _profile(manifest: Manifest) -> dict[str, Any]:
    tables = manifest.count_tables()
    rows = sum(counts["rows"] for counts in tables.values())
    details = manifest.details
    return {
        # The name under which MLflow's own profiles have it.
        "num_rows": rows,
        "bytes": sum(counts["bytes"] for counts in tables.values()),
        "tables": tables,
        **({"labels": details["labels"]} if "labels" in details else {}),
        "windows": details.get("windows", {}),
        "made_from": dict(manifest.made_from),
    }


def _metrics(manifest: Manifest) -> dict[str, float]:
    tables = manifest.count_tables()
    found: dict[str, float] = {
        "rows": sum(counts["rows"] for counts in tables.values()),
        "bytes": sum(counts["bytes"] for counts in tables.values()),
    }
    found |= {f"rows/{table}": counts["rows"] for table, counts in tables.items()}
    if labels := manifest.details.get("labels"):
        found["labels"] = len(labels)
    found |= dict(_measures(manifest.details))
    return {_NOT_IN_NAMES.sub("_", name): value for name, value in [*found.items()][:MOST_METRICS]}


def _measures(details: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in the details, by their path."""
    for name, value in details.items():
        if name in _NO_MEASURES or isinstance(value, bool):
            continue
        if isinstance(value, Mapping):
            yield from _measures(value, f"{path}{name}/")
        elif isinstance(value, int | float):
            yield f"{path}{name}", value


def _params(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as texts, at most so many and of at most so many characters; what is cut ends in `…`."""
    found: dict[str, str] = {}
    for name, value in [*settings.items()][:MOST_PARAMS]:
        text = value if isinstance(value, str) else json.dumps(value)
        is_whole = len(text) <= MOST_PARAM_CHARACTERS
        found[name] = text if is_whole else f"{text[: MOST_PARAM_CHARACTERS - 1]}…"
    return found


# MLflow's types for those of Polars, and for those that manifests of training files have; without one, `any`.
_TYPES = {
    "string": "string",
    # Labels are whole numbers of up to 64 bits.
    "integer": "long",
    "String": "string",
    "Boolean": "boolean",
    **dict.fromkeys(("Int8", "Int16", "Int32", "UInt8", "UInt16"), "integer"),
    **dict.fromkeys(("Int64", "UInt32", "UInt64"), "long"),
    "Float32": "float",
    "Float64": "double",
    "Date": "datetime",
    "Datetime": "datetime",
    "Binary": "binary",
}


def _columns(schema: Mapping[str, Any], table: str = "") -> Iterator[dict[str, Any]]:
    """The columns of a table, or of all tables with their names before those of columns."""
    for name, of_type in schema.items():
        if isinstance(of_type, Mapping):
            yield from _columns(of_type, f"{name}.")
        else:
            # A manifest does not say which columns may have nulls; the training files have none.
            yield {**_type(str(of_type)), "name": f"{table}{name}", "required": not table}


def _type(of_type: str) -> dict[str, Any]:
    if of_type.startswith("List(") and of_type.endswith(")"):
        return {"type": "array", "items": _type(of_type[5:-1])}
    return {"type": _TYPES.get(of_type.partition("(")[0], "any")}
