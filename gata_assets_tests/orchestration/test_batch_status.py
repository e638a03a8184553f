"""The words in which pipelines decide which batches are due. Plain values; nothing is faked."""

from __future__ import annotations

import pytest

from gata_assets.orchestration.batch_status import MISSING, BatchStatus, Plan, Reason, Status

COMPLETE = BatchStatus(Status.COMPLETE)
STALE = BatchStatus(Status.STALE, frozenset({Reason.ROWS, Reason.CATALOG}))
OTHER = BatchStatus(Status.COMPLETE, frozenset({Reason.SETTINGS, Reason.CATALOG}))
STATUSES = {"a": COMPLETE, "b": MISSING, "c": STALE, "d": OTHER}


@pytest.mark.parametrize(
    ("differences", "status"),
    [
        (set(), Status.COMPLETE),
        ({Reason.SETTINGS, Reason.CATALOG}, Status.COMPLETE),
        ({Reason.ROWS}, Status.STALE),
        ({Reason.ROWS, Reason.SETTINGS}, Status.STALE),
    ],
)
def test_other_rows_alone_make_a_batch_stale(differences: set[Reason], status: Status) -> None:
    assert BatchStatus.of(differences) == BatchStatus(status, frozenset(differences))


def test_batches_that_are_missing_or_stale_are_due_in_their_order() -> None:
    plan = Plan.of(STATUSES, again=False)
    assert plan.due == ("b", "c")
    assert plan.complete == ("a", "c", "d"), "of whatever rows"
    assert plan.stale == ("c",)
    assert (plan.kept(Reason.SETTINGS), plan.kept(Reason.CATALOG)) == (("d",), ("d",)), "c is prepared"


def test_again_makes_all_batches_due_and_keeps_none() -> None:
    plan = Plan.of(STATUSES, again=True)
    assert plan.due == tuple(STATUSES)
    assert plan.kept(Reason.SETTINGS) == ()
    assert Plan.of({}, again=True).due == ()
