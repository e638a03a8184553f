"""Generated tickets for benchmarks: any number, length and label imbalance, quickly.

Not realistic to readers (`sandbox.sample_tickets` is), but texts have words, lengths vary around 600 characters, ids
follow the creation time instead of the closing time, and some texts repeat, a few of them often.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.ticket_contract.source import TICKETS_ARROW_SCHEMA, no_tickets

FIRST_LABEL = 25_000_000_000_101
NOT_TRAINING_SHARE = 0.10

_CHANNELS = ("email", "web", "api", "chat", "mobile", "voice", "messaging", "sms")
_CHANNEL_SHARES = (0.40, 0.24, 0.10, 0.10, 0.08, 0.04, 0.03, 0.01)
_CORPUS_CHARACTERS = 8_000_000
_MEAN_CHARACTERS = 600


def make_tickets(
    window: Window,
    tickets: int,
    *,
    labels: int,
    seed: int,
    first_id: int = 1,
    repeated_share: float = 0.0,
    imbalance: float = 1.0,
) -> pd.DataFrame:
    """Generate rows of the table `ticket`, ordered by id: `tickets` for training, and a tenth more that are excluded.

    The k-th label's share is proportional to k ** -imbalance. `repeated_share` of the tickets repeat another ticket's
    text, nine in ten of these with the same label.
    """
    rng = np.random.default_rng(seed)
    count = tickets + round(tickets * NOT_TRAINING_SHARE)
    closed = rng.integers(window.start, window.end, count)
    created = closed - np.minimum(rng.lognormal(10, 1.2, count), 30 * 86_400).astype(np.int64)
    weights = np.arange(1, labels + 1) ** -imbalance
    label = rng.choice(labels, count, p=weights / weights.sum())
    texts = _texts(rng, count, first_id)
    _repeat_texts(rng, texts, label, repeated_share)
    channel = rng.choice(np.array(_CHANNELS, dtype=object), count, p=_CHANNEL_SHARES)
    initial = np.where((channel == "api") | (rng.random(count) < 0.1), 0, FIRST_LABEL + rng.integers(0, labels, count))
    router = np.where(rng.random(count) < 0.25, "external", "gata").astype(object)
    _exclude(rng, count - tickets, channel, initial, router)
    frame = pd.DataFrame(
        {
            "processed_data": texts,
            "via_channel": channel,
            "probability": rng.random(count).round(4),
            "routed_by": router,
            "created": created,
            "initial_group_id": initial,
            "initial_group_id_mapped": initial,
            "closed": closed,
            "closed_group_id": FIRST_LABEL + label,
            "closed_group_id_mapped": FIRST_LABEL + label,
        }
    ).sort_values("created", ignore_index=True)
    frame.insert(0, "id", np.arange(first_id, first_id + count))
    return frame


def as_read(tickets: pd.DataFrame) -> pd.DataFrame:
    """All rows of a generated table in the form that a source returns."""
    names = {"closed_group_id_mapped": "label", "processed_data": "text"}
    read: pd.DataFrame = tickets.rename(columns=names)[TICKETS_ARROW_SCHEMA.names]
    return read.astype(no_tickets().dtypes.to_dict()).sort_values(["closed", "id"], ignore_index=True)


def _texts(rng: np.random.Generator, count: int, first: int) -> NDArray[np.object_]:
    """Distinct texts: a unique number, then a slice of a long text with a vocabulary of 20,000 words."""
    letters = np.array(list("etaoinshrdlcumwfgypbvkjxqz0123456789"))
    words = ["".join(rng.choice(letters[:30], size)) for size in rng.integers(2, 10, 20_000)]
    picked = np.minimum(rng.zipf(1.3, _CORPUS_CHARACTERS // 6), len(words)) - 1
    ends = rng.choice(np.array([" ", ". ", "? ", "! "]), len(picked), p=[0.9, 0.06, 0.03, 0.01])
    corpus = "".join(words[i] + end for i, end in zip(picked.tolist(), ends.tolist(), strict=True))
    lengths = np.clip(rng.normal(_MEAN_CHARACTERS - 8, 180, count), 60, 3_000).astype(int)
    starts = rng.integers(0, len(corpus) - 3_000, count)
    pieces = zip(starts.tolist(), lengths.tolist(), strict=True)
    texts = np.empty(count, dtype=object)
    texts[:] = [f"{first + i} {corpus[start : start + length]}" for i, (start, length) in enumerate(pieces)]
    return texts


def _repeat_texts(rng: np.random.Generator, texts: NDArray[np.object_], label: NDArray[np.int64], share: float) -> None:
    """Overwrite a share of the texts with other texts, a few of which are used often."""
    by_label = np.argsort(label, kind="stable")
    first = np.searchsorted(label[by_label], np.arange(label.max() + 1))
    size = np.bincount(label)
    copies = rng.choice(len(texts), round(len(texts) * share), replace=False)
    within = (rng.random(len(copies)) ** 3 * size[label[copies]]).astype(int)
    sources = by_label[first[label[copies]] + within]
    strays = rng.random(len(copies)) < 0.1
    sources[strays] = rng.integers(0, len(texts), int(strays.sum()))
    texts[copies] = texts[sources]


def _exclude(
    rng: np.random.Generator,
    count: int,
    channel: NDArray[np.object_],
    initial: NDArray[np.int64],
    router: NDArray[np.object_],
) -> None:
    """Turn rows into excluded ones: half created through the API with a group, half routed by a mapping."""
    rows = rng.choice(len(channel), count, replace=False)
    routed, mapped = rows[: count // 2], rows[count // 2 :]
    channel[routed] = "api"
    initial[routed] = FIRST_LABEL
    router[mapped] = "gata-mapped"
