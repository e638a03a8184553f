"""Rounds of upkeep again and again, in a process of its own, until it is ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gata_assets.errors import StoreError
from gata_assets.ingestion.segments.rollup import RolledUp
from gata_assets.ingestion.upkeep.rounds import Failed, Round, Upkeep

FIRST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Rounds:
    """What takes the news of rounds, and what says when to end.

    Attributes:
        note: takes each stream that was rolled up, and each failure.
        end: takes each round.
        wait: waits so many seconds; true, at once, if the process is to end.
        is_ended: whether the process is to end.
    """

    note: Callable[[RolledUp | Failed], object]
    end: Callable[[Round], object]
    wait: Callable[[float], bool]
    is_ended: Callable[[], bool]

    def repeat(self, upkeep: Upkeep, seconds: float, *, even_open: bool = False) -> bool:
        """Do a round every so many seconds, until it is to end; returns whether nothing failed in the last.

        While the target fails, it is tried again after a second, two, four and so on, up to `seconds`. What is damaged
        stays so, and waits for the next round.
        """
        pause, is_whole, tries = 0.0, True, 0
        while not self.wait(pause):
            is_whole, is_away = self._try(upkeep, even_open=even_open)
            tries = tries + 1 if is_away else 0
            pause = min(seconds, FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1)) if tries else seconds
        return is_whole

    def _try(self, upkeep: Upkeep, *, even_open: bool) -> tuple[bool, bool]:
        """Whether nothing failed, and whether the target did."""
        try:
            done = upkeep.run(self.note, even_open=even_open, is_ended=self.is_ended)
        except StoreError as error:
            self.note(Failed("streams", str(error), is_damaged=False))
            return False, True
        self.end(done)
        return not done.failed, any(not one.is_damaged for one in done.failed)
