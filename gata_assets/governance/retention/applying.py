"""Plans and deletes: what was decided of each scope, in an order in which a kill leaves nothing that looks complete.

A scope's batches go first, then its days count no more, then these and the files go. What could not be deleted stops
its scope before the next stage: nothing goes that something which is still there may need.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gata_assets.curation.curated.retired_days import retire_days
from gata_assets.errors import ConflictError, GataError
from gata_assets.governance.retention.decision import decide
from gata_assets.governance.retention.holds import Holds
from gata_assets.governance.retention.plans import Going, ScopePlan
from gata_assets.governance.retention.rules import RetentionRules
from gata_assets.governance.retention.scopes import Scope
from gata_assets.governance.retention.state import read_scope
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.parallel import SMALL_CALLS_AT_ONCE, map_in_order


@dataclass(frozen=True)
class Deleted:
    """What was deleted of something: all of its keys, or those before an error."""

    going: Going
    deleted: int
    error: GataError | None = None


@dataclass(frozen=True)
class Retention:
    """Plans and deletions of a target, as of an instant."""

    store: ObjectStore
    rules: RetentionRules
    now: datetime

    def plan(self, scope: Scope) -> ScopePlan:
        """What goes and stays of a scope; raises StoreError or DamagedTableError. Writes nothing."""
        hold = Holds(self.store).find(scope.name)
        why = hold.describe() if hold else None
        return decide(read_scope(self.store, scope, self.rules, self.now, why), self.rules, self.now)

    def apply(self, scope: Scope, plan: ScopePlan) -> Iterator[Deleted]:
        """Delete what a plan says of a scope, and yield what was done with each; the same plan again goes on.

        Raises ConflictError if the scope was held meanwhile, DamagedTableError or StoreError. A deletion that fails
        is yielded with its error, and ends the work on the scope after its stage.
        """
        if (plan.going or plan.first_days) and Holds(self.store).find(scope.name):
            raise ConflictError(f"A hold on {scope.name} was added meanwhile: nothing of it is deleted.")
        yield from self._stages(scope, plan)

    def _stages(self, scope: Scope, plan: ScopePlan) -> Iterator[Deleted]:
        stages: list[Sequence[Sequence[Going]]] = [
            [[batch] for batch in plan.batches],
            [[day] for day in plan.days],
            plan.files,
            [[leftover] for leftover in plan.leftovers],
        ]
        for number, stage in enumerate(stages):
            if number == 1 and scope.places:
                # Before any of these days or a file with their rows is deleted: they would be built again without it.
                for table, first in plan.first_days.items():
                    retire_days(self.store, scope.places, table, first)
            has_failed = False
            for done in map_in_order(self._delete_chain, stage, SMALL_CALLS_AT_ONCE):
                has_failed = has_failed or any(found.error for found in done)
                yield from done
            if has_failed:
                return

    def _delete_chain(self, chain: Iterable[Going]) -> list[Deleted]:
        """Delete one after the other, up to the first that cannot be deleted."""
        done: list[Deleted] = []
        for going in chain:
            done.append(self._delete(going))
            if done[-1].error:
                break
        return done

    def _delete(self, going: Going) -> Deleted:
        deleted = 0
        try:
            for seen in going.seen:
                look = self.store.delivered_version if seen.is_delivered else self.store.version
                if look(seen.key) not in (seen.version, ABSENT):
                    raise ConflictError(
                        f"{self.store.uri(seen.key)} was changed meanwhile, so that its file may be needed: "
                        "`gata retention apply` again."
                    )
            for key in going.keys:
                self.store.delete(key)
                deleted += 1
        except GataError as error:
            return Deleted(going, deleted, error)
        return Deleted(going, deleted)
