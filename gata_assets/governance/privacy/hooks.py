"""Stores of the user's own, such as embeddings or a CRM: erased, exported and searched by hooks.

What a hook raises is shown by its class alone, since its message may have an id; the other stores go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from gata_assets.errors import OwnStoreError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.governance.privacy.searching import Search, Searched

_PLACE = "own stores"
Result = TypeVar("Result")


@runtime_checkable
class PrivacyHook(Protocol):
    """A store of the user's own, which has data of people.

    `ids` are those that were asked for and, in an export, the tokens that stand for them in tables that mask people.
    Whatever a method raises says that it could not be done, and the request is not complete.
    """

    name: str
    """Names the store in logs and files: short, without an id."""

    def erase(self, tenant: str, ids: Sequence[str]) -> int:
        """Remove all data of these people of a tenant, and return how many records these were.

        It may be asked again, also after it was cut off: what is gone already is no error.
        """

    def export(self, tenant: str, ids: Sequence[str]) -> Iterable[Mapping[str, Any]]:
        """The records of these people, as JSON has them or nearly (instants, bytes); read once, one after another."""

    def count(self, tenant: str, ids: Sequence[str]) -> int:
        """How many records of these people there are, by another way than the one that erases, if possible."""


@dataclass(frozen=True)
class HookLocator:
    """The user's own stores as places of people's data."""

    hooks: Sequence[PrivacyHook]

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator."""
        for hook in self.hooks:
            try:
                removed = _count(hook, hook.erase, erasure)
            except OwnStoreError as error:
                yield Cleared(_place_of(hook), 0, remains=str(error))
            else:
                yield Cleared(_place_of(hook), int(removed > 0), {"records": removed})

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator."""
        for hook in self.hooks:
            yield Exported(_place_of(hook), hook.name, _records(hook, people))


@dataclass(frozen=True)
class HookHaystack:
    """The user's own stores, which count what they have of people."""

    hooks: Sequence[PrivacyHook]
    name: ClassVar[str] = _PLACE

    def search(self, search: Search, people: People) -> Iterator[Searched]:  # noqa: ARG002 (each store counts itself)
        """See Haystack."""
        for hook in self.hooks:
            try:
                yield Searched(hook.name, 0, _count(hook, hook.count, people))
            except OwnStoreError as error:
                yield Searched(hook.name, 0, 0, fault=str(error))


def _count(hook: PrivacyHook, ask: Callable[[str, Sequence[str]], int], people: People) -> int:
    return _asked(hook, lambda: index(ask(people.tenant, people.ids)))


def _records(hook: PrivacyHook, people: People) -> Iterator[Mapping[str, Any]]:
    records = _asked(hook, lambda: iter(hook.export(people.tenant, people.ids)))
    while (record := _asked(hook, lambda: next(records, None))) is not None:
        yield record


def _place_of(hook: PrivacyHook) -> str:
    return f"{_PLACE}: {hook.name}"


def _asked(hook: PrivacyHook, ask: Callable[[], Result]) -> Result:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 (a hook can raise anything, and its message have anything)
        raise OwnStoreError(
            f"The store {hook.name} of PRIVACY_HOOKS failed with {type(error).__name__}: look at its own log, and run "
            "the same request again."
        ) from None
