"""Verifies a target: each object that is named is read, and compared with what is said of it.

Writers may be active. What differs counts only if the object that says so is the same before and after; if it was
replaced meanwhile, all that it names now is compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Semaphore

from gata_assets.errors import DamagedTableError, ManifestVersionError, ObjectNotFoundError
from gata_assets.governance.trust.comparing import Compared, compare
from gata_assets.governance.trust.findings import Counts, Kind, Problem
from gata_assets.governance.trust.forms import Forms
from gata_assets.governance.trust.namers import Namers
from gata_assets.governance.trust.names import Name, Role
from gata_assets.governance.trust.walk import Found, Listing, walk
from gata_assets.storage.objects import ABSENT, ObjectStore
from gata_assets.storage.parallel import CALLS_AT_ONCE, SMALL_CALLS_AT_ONCE, map_in_order

# How often an object that names others is looked at again, because it was replaced meanwhile.
_MOST_LOOKS = 5
# A run writes the tables of a batch one after another, and last what is built from them.
SECONDS_OF_A_BATCH = 10.0


class Verification:
    """One verification of a target; `counts` are complete once all of `run` was taken."""

    def __init__(
        self,
        store: ObjectStore,
        forms: Sequence[Forms] = (),
        *,
        listed: Listing | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set up without reading anything.

        Args:
            store: The target.
            forms: Those of the domains that the target may have objects of.
            listed: The objects to be verified; None for all of the store, and for what no single object shows.
            pause: Waits so many seconds, once, if a table is not the one that something was built from.
        """
        self.counts = Counts()
        self._store, self._forms, self._listed, self._pause = store, forms, listed, pause
        self._namers = Namers(store, forms)
        # Objects that were replaced while what they name was looked at, and tables that may be being written.
        self._replaced: set[str] = set()
        self._unsettled: list[tuple[Name, Problem]] = []
        self._checking = Semaphore(CALLS_AT_ONCE)

    def run(self) -> Iterator[Problem]:
        """Look at everything, and yield what is wrong as it is found; raises StoreError if the target fails."""
        for problem in self._problems():
            self.counts.count(problem)
            yield problem

    def _problems(self) -> Iterator[Problem]:
        found = walk(self._store, self._forms, listed=self._listed)
        for one, compared in map_in_order(self._look, found, SMALL_CALLS_AT_ONCE):
            self._count(one, compared)
            for name, problem in compared.problems:
                yield from self._confirmed(name, problem)
        yield from self._settled()
        # Whole objects, since a manifest that was replaced names files that were not compared.
        for key in sorted(self._replaced):
            yield from self._look_again(key)
        if self._listed is None:
            for forms in self._forms:
                for fault in forms.faults(self._store):
                    yield Problem(Kind.DAMAGED, fault.key or "", "", str(fault))

    def _count(self, found: Found, compared: Compared) -> None:
        counts = self.counts
        counts.objects += found.version != ABSENT
        counts.namers += found.is_namer
        counts.named += bool(found.names)
        counts.bytes_read += compared.bytes
        counts.archived += compared.is_archived
        if found.names or found.is_namer:
            return
        if any(forms.check_of(found.key) for forms in self._forms):
            counts.proven += 1
        else:
            counts.count_unnamed(found.key)

    def _look(self, found: Found) -> tuple[Found, Compared]:
        """Compare an object, or let it prove itself."""
        compared = compare(self._store, found.key, found.names) if found.names else Compared(())
        # Said of itself: nobody else says otherwise.
        itself = Name(found.key, Role.FILE, by=found.key, by_version=found.version)
        own = [(itself, problem) for problem in self._own_problems(found)]
        return found, replace(compared, problems=(*own, *compared.problems))

    def _own_problems(self, found: Found) -> Iterator[Problem]:
        if found.fault is not None:
            yield _problem_of(found.fault, found.key)
        if found.version == ABSENT:
            return
        for forms in self._forms:
            check = forms.check_of(found.key)
            if check is not None:
                try:
                    # Such an object is in memory as a whole.
                    with self._checking:
                        check(self._store, found.key)
                except ObjectNotFoundError:
                    # Deleted since it was listed.
                    return
                except DamagedTableError as error:
                    yield _problem_of(error, found.key)

    def _confirmed(self, name: Name, problem: Problem) -> Iterator[Problem]:
        """A problem, if what says so is still the same, and the object is still not what it says."""
        if name.role is Role.SOURCE:
            self._unsettled.append((name, problem))
        elif self._is_present(name) and (again := self._compare_again(name)) and self._is_present(name):
            yield from again
        elif not self._is_present(name):
            self._replaced.add(name.by)

    def _settled(self) -> Iterator[Problem]:
        """Tables that are still not what something was built from, after a run had the time to build that again."""
        if self._unsettled:
            self._pause(SECONDS_OF_A_BATCH)
        for name, _ in self._unsettled:
            if not self._is_present(name):
                self._replaced.add(name.by)
            else:
                yield from self._compare_again(name)

    def _compare_again(self, name: Name) -> list[Problem]:
        """What is wrong with an object by all that its namer says of it."""
        if name.by == name.key:
            found, version = self._problems_of_namer(name.key), self._store.version(name.key)
            return found if version == name.by_version else []
        try:
            names = [one for one in self._namers.read(name.by).names if one.key == name.key]
        except (ObjectNotFoundError, DamagedTableError, ManifestVersionError):
            return []
        return [problem for _, problem in compare(self._store, name.key, names).problems] if names else []

    def _problems_of_namer(self, key: str) -> list[Problem]:
        found = Found(key, self._store.version(key))
        try:
            if self._namers.includes(key):
                self._namers.read(key)
        except ObjectNotFoundError:
            return []
        except (DamagedTableError, ManifestVersionError) as error:
            return [_problem_of(error, key)]
        return list(self._own_problems(found))

    def _is_present(self, name: Name) -> bool:
        return self._store.version(name.by) == name.by_version

    def _look_again(self, key: str) -> Iterator[Problem]:
        """All that an object names now, which was replaced meanwhile."""
        for _ in range(_MOST_LOOKS):
            problems = self._problems_of_namer(key)
            try:
                namer = self._namers.read(key) if self._namers.includes(key) else None
            except ObjectNotFoundError:
                return
            except (DamagedTableError, ManifestVersionError):
                # One of the problems, unless it was replaced again.
                namer = None
            for named in sorted({name.key for name in namer.names} if namer else ()):
                names = [name for name in namer.names if name.key == named] if namer else []
                problems += [problem for _, problem in compare(self._store, named, names).problems]
            if not problems:
                return
            if namer is None or self._store.version(key) == namer.version:
                yield from problems
                return
        self.counts.changing += 1


def _problem_of(error: DamagedTableError | ManifestVersionError, key: str) -> Problem:
    kind = Kind.UNKNOWN if isinstance(error, ManifestVersionError) else Kind.DAMAGED
    return Problem(kind, key, "", str(error))
