"""Labels that are names, and their ids: training files and tables have integers.

The map only grows: an id is never used for another name, so that models and datasets of different days agree. Id 0 is
reserved, since it asks the low-volume model. Pure; `stored_labels` keeps the map in the target.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from unicodedata import category, normalize

import numpy as np
import pandas as pd

from gata_assets.errors import DamagedTableError, DataRuleError, ManifestVersionError
from gata_assets.tickets.low_volume import ASK_LOW_VOLUME_LABEL

VERSION = 1
FIRST_ID = ASK_LOW_VOLUME_LABEL + 1
# A column of free text in place of the labels would fill the map for good.
MOST_LABELS, LONGEST_NAME = 10_000, 200

LABEL_NAME = "label_name"


class LabelIds(Protocol):
    """The ids of names, which are assigned when they are asked for."""

    def ids_of(self, names: Iterable[str]) -> Mapping[str, int]:
        """The id of each of these names, as `clean_name` has them; new ones get ids in sorted order."""

    def names(self) -> Mapping[int, str]:
        """All names by id."""


def clean_name(name: str) -> str:
    """A name as it is compared: composed (NFC), without characters that cannot be seen, with single spaces, and none at
    both ends; upper and lower case differ.
    """
    seen = (" " if category(char) == "Cc" else char for char in normalize("NFC", name) if category(char) != "Cf")
    return " ".join("".join(seen).split())


@dataclass(frozen=True)
class LabelMap:
    """Names by id."""

    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def decode(cls, content: bytes) -> LabelMap:
        """From `encode`; raises DamagedTableError, or ManifestVersionError for a map of a later release."""
        try:
            found = json.loads(content, object_pairs_hook=_without_repetitions)
            version, given = found["version"], found["names"]
            names = {int(label): str(name) for label, name in given.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DamagedTableError("is no map of labels") from None
        if version != VERSION:
            raise ManifestVersionError(f"has version {version}, and this release knows {VERSION}")
        is_clean = all(name and name == clean_name(name) for name in names.values())
        are_ids = list(map(str, names)) == list(given) and min(names, default=FIRST_ID) >= FIRST_ID
        if not (is_clean and are_ids and len(set(names.values())) == len(names)):
            raise DamagedTableError("has a name twice, or names or ids that this project does not write")
        return cls(names)

    def encode(self) -> bytes:
        """As JSON, by ascending id."""
        names = {str(label): self.names[label] for label in sorted(self.names)}
        return (json.dumps({"version": VERSION, "names": names}, ensure_ascii=False, indent=1) + "\n").encode()

    def ids(self) -> dict[str, int]:
        """The ids by name."""
        return {name: label for label, name in self.names.items()}

    def grown(self, names: Iterable[str]) -> LabelMap:
        """The map with ids for these names as well: new ones get the next ids, in sorted order.

        Raises DataRuleError for names that look like those of another column.
        """
        new = sorted(set(names) - set(self.names.values()))
        if not new:
            return self
        too_long = sum(len(name) > LONGEST_NAME for name in new)
        if too_long or len(self.names) + len(new) > MOST_LABELS:
            raise DataRuleError(
                f"The label column has {len(new):,} new names beside {len(self.names):,} that are known; {too_long:,} "
                f"of them have more than {LONGEST_NAME} characters. At most {MOST_LABELS:,} names get an id, for good; "
                "none was given. See whether it is the column of labels."
            )
        first = max(self.names, default=FIRST_ID - 1) + 1
        return LabelMap({**self.names, **dict(enumerate(new, start=first))})


def _without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


class LabelsOfOneRead:
    """Ids that are not kept, for a command that only looks at tickets."""

    def __init__(self) -> None:
        self._map = LabelMap()

    def ids_of(self, names: Iterable[str]) -> Mapping[str, int]:
        """See LabelIds."""
        self._map = self._map.grown(names)
        return self._map.ids()

    def names(self) -> Mapping[int, str]:
        """See LabelIds."""
        return self._map.names


def has_names(tickets: pd.DataFrame) -> bool:
    """Whether the labels of tickets, as a source returns them, are names."""
    return isinstance(tickets["label"].dtype, pd.StringDtype)


def with_label_ids(tickets: pd.DataFrame, labels: LabelIds) -> pd.DataFrame:
    """Tickets with ids in place of names in `label`, and the names in a further column; an empty name is no label."""
    codes, uniques = pd.factorize(tickets["label"])
    if found := sum("\0" in str(name) for name in uniques):
        # SQLite ends a text there where it compares it.
        raise DataRuleError(f"{found:,} names of labels have a NUL character: correct them in the ticket table.")
    names = [clean_name(str(name)) for name in uniques]
    ids = labels.ids_of({name for name in names if name})
    # One more element at the end, which -1, the code of a missing label, selects.
    by_code: dict[str, Any] = {
        "label": pd.array([ids.get(name) for name in names] + [None], dtype=pd.Int64Dtype()),
        LABEL_NAME: pd.array([name or None for name in names] + [None], dtype=pd.StringDtype("pyarrow")),
    }
    places = np.where(codes < 0, len(names), codes)
    return tickets.assign(
        **{column: pd.Series(values[places], index=tickets.index) for column, values in by_code.items()}
    )


def names_of(tickets: pd.DataFrame) -> Mapping[int, str] | None:
    """The names of the labels of tickets from `with_label_ids`, by id; None for other tickets."""
    if LABEL_NAME not in tickets:
        return None
    distinct = tickets[["label", LABEL_NAME]].dropna().drop_duplicates("label").sort_values("label")
    return {int(label): str(name) for label, name in distinct.itertuples(index=False)}


def fallback_id(label: int | str, labels: LabelIds, *, are_names: bool) -> int:
    """The id of LOW_VOLUME_FALLBACK_LABEL: of labels that are names, it may be a name, an id that has one, or 0.

    Raises DataRuleError for one that does not fit the labels.
    """
    names = labels.names() if are_names else {}
    if are_names and str(label) in names.values():
        [by_name] = [known for known, name in names.items() if name == str(label)]
        if label in names and label != by_name:
            raise DataRuleError(
                f"LOW_VOLUME_FALLBACK_LABEL={label} is the name of one label and the id of another: rename that label."
            )
        return by_name
    if isinstance(label, str):
        if are_names:
            name = clean_name(label)
            return labels.ids_of([name])[name]
        raise DataRuleError(
            f"LOW_VOLUME_FALLBACK_LABEL={label} is a name, and the labels of the tickets are numbers: set it to the "
            "number of a group."
        )
    if are_names and label != ASK_LOW_VOLUME_LABEL and label not in names:
        raise DataRuleError(
            f"LOW_VOLUME_FALLBACK_LABEL={label} is the id of no label, and the labels of the tickets are names: set it "
            "to a name, or to an id that `gata labels` lists."
        )
    return label
