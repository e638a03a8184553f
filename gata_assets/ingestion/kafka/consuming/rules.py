"""How much and how long messages wait, as a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConsumerRules:
    """The bounds of a consumer.

    Attributes:
        at_most_seconds: how long a message waits for others.
        at_most_bytes: a segment is written as soon as it has so many; about.
        at_most_waiting_bytes: of all partitions; those with more than their share are paused.
        at_most_message_bytes: a larger message is rejected.
        end_seconds: how long what waits is stored when the process ends, or a partition goes to another one.
        session_seconds: who is silent for so long loses its partitions.
    """

    at_most_seconds: float = 0.5
    at_most_bytes: int = 8_000_000
    at_most_waiting_bytes: int = 64_000_000
    at_most_message_bytes: int = 1_048_576
    end_seconds: float = 20.0
    session_seconds: float = 15.0
