"""Requests against a model in plain Python: whatever several processes do in whatever order, with a clock that moves.

Real: the requests, over a store in memory, which the store's contract holds to what others do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from gata_assets.errors import ConflictError
from gata_assets.ingestion.keys.request_records import Answer, InProgress, OtherBody, Replayed, Started, fingerprint
from gata_assets.ingestion.keys.requests import IdempotentRequests
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.moved_clock import MovedClock

LEASE, KEPT = 30, 100
BODIES = {body: fingerprint("POST /x", body, {}) for body in "ab"}


@dataclass
class Kept:
    """What the model knows of a key: seconds are those since the test began."""

    body: str
    owner: int
    free_at: float
    expires_at: float
    answer: int | None = None


class RequestsModel(RuleBasedStateMachine):
    begun = Bundle("begun")

    @initialize()
    def set_up(self) -> None:
        self.clock, store = MovedClock(), MemoryStore()
        bounds = {"lease": timedelta(seconds=LEASE), "kept": timedelta(seconds=KEPT)}
        self.processes = [IdempotentRequests(store, self.clock, **bounds) for _ in range(2)]
        self.now, self.owners = 0.0, 0
        self.model: dict[str, Kept] = {}
        self.store = store

    def kept(self, key: str) -> Kept | None:
        found = self.model.get(key)
        return found if found and self.now < found.expires_at else None

    @rule(target=begun, process=st.integers(0, 1), key=st.sampled_from("kl"), body=st.sampled_from("ab"))
    def begin(self, process: int, key: str, body: str) -> tuple[str, int, Started] | None:
        outcome = self.processes[process].begin("acme", "POST /x", key, BODIES[body])
        kept = self.kept(key)
        if kept and kept.body != body:
            assert isinstance(outcome, OtherBody)
        elif kept and kept.answer is not None:
            assert outcome == Replayed(Answer(kept.answer))
        elif kept and self.now < kept.free_at:
            assert isinstance(outcome, InProgress)
        else:
            assert isinstance(outcome, Started)
            self.owners += 1
            self.model[key] = Kept(body, self.owners, self.now + LEASE, self.now + KEPT)
            return key, self.owners, outcome
        return None

    @rule(process=st.integers(0, 1), which=begun, status=st.sampled_from([200, 201, 422]))
    def finish(self, process: int, which: tuple[str, int, Started] | None, status: int) -> None:
        if which is None:
            return
        key, owner, started = which
        kept = self.model.get(key)
        if kept and kept.owner == owner and kept.answer in (None, status):
            self.processes[process].finish(started, Answer(status))
            if kept.answer is None:
                kept.answer, kept.expires_at = status, self.now + KEPT
        else:
            with pytest.raises(ConflictError):
                self.processes[process].finish(started, Answer(status))

    @rule(process=st.integers(0, 1), which=begun)
    def forget(self, process: int, which: tuple[str, int, Started] | None) -> None:
        if which is None:
            return
        key, owner, started = which
        self.processes[process].forget(started)
        kept = self.model.get(key)
        if kept and kept.owner == owner and kept.answer is None:
            del self.model[key]

    @rule(seconds=st.sampled_from([1, LEASE - 1, LEASE, KEPT - LEASE, KEPT]))
    def move_the_clock(self, seconds: int) -> None:
        self.clock.move(seconds)
        self.now += seconds

    @rule(process=st.integers(0, 1))
    def sweep(self, process: int) -> None:
        swept = self.processes[process].sweep()
        expired = [key for key in self.model if not self.kept(key)]
        assert (swept.deleted, swept.damaged) == (len(expired), 0)
        for key in expired:
            del self.model[key]
        assert swept.left == len(self.model) == len(list(self.store.list_keys("")))


RequestsModel.TestCase.settings = settings(max_examples=70, stateful_step_count=25, deadline=None)
TestRequestsModel = RequestsModel.TestCase
