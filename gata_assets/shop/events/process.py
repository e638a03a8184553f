"""One event, processed: up to three tries, and whoever has to know is informed.

A fault of the environment is tried again; a fault of the data is an outcome; anything else fails at once. What fails
for good becomes a dead letter. Clock, sleep and randomness come from outside.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from random import Random

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from gata_assets.errors import (
    AlertError,
    DamagedTableError,
    DeleteDeniedError,
    GataError,
    ManifestVersionError,
    QueueError,
    RawFileError,
    StoreError,
)
from gata_assets.orchestration.alerting.message import Alert
from gata_assets.shop.events.dead_letters import DeadLetter, DeadLetterQueue
from gata_assets.shop.events.event import ObjectEvent
from gata_assets.shop.events.metrics import Measured
from gata_assets.shop.events.notifications import Channel, failed_event, invalid_data
from gata_assets.shop.events.routing import UNKNOWN, Ignored, ShopPlaces, Stage, Work, route
from gata_assets.shop.events.shown import Clean, Subject
from gata_assets.shop.events.stages import FILE_IS_READABLE, StageOutcome, Stages

MOST_TRIES = 3
_FIRST_WAIT_SECONDS = 1.0
_MOST_WAIT_SECONDS = 30.0
_MOST_REASON_CHARACTERS = 1_000
# Faults of the store that are there again at the next try.
_LASTING = (DamagedTableError, DeleteDeniedError, ManifestVersionError)
_PACKAGE = Path(__file__).parents[2]

Log = Callable[[datetime, int, Mapping[str, object]], None]


class State(StrEnum):
    """How the processing of an event ended."""

    PROCESSED = "processed"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True)
class Failure:
    """Why an event failed for good: the error's class, and a reason without values."""

    error: str
    reason: str


@dataclass
class Result:
    """What became of an event; `undelivered` are messages that the queue or a topic did not take, with the reason."""

    subject: Subject
    state: State
    tries: int = 0
    seconds: float = 0.0
    work: Work | None = None
    outcome: StageOutcome | None = None
    failure: Failure | None = None
    reason: str = ""
    is_queued: bool = False
    undelivered: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Surroundings:
    """The world around the processing: clocks, sleep, randomness, ids, and where lines go."""

    now: Callable[[], datetime]
    seconds: Callable[[], float]
    sleep: Callable[[float], None]
    random: Random
    new_id: Callable[[], str]
    log: Log
    measure: Callable[[Measured, Subject], None]
    clean: Clean


@dataclass(frozen=True)
class Processor:
    """Processes events, one at a time.

    `open_stages` opens the engine, for each try: that it cannot be opened is a failure as any other.
    """

    open_stages: Callable[[], Stages]
    places: ShopPlaces
    queue: DeadLetterQueue
    data: Channel
    operations: Channel
    around: Surroundings

    def process(self, event: ObjectEvent) -> Result:
        """Process an event; what fails for good is put into the dead-letter queue, and operations are notified.

        Raises:
            EventError: If the key is still as in a URL.
        """
        result = self.attempt(event)
        if result.failure is None:
            return result
        letter = DeadLetter(
            event,
            result.subject.request_id,
            result.subject.stage,
            result.tries,
            result.failure.error,
            result.failure.reason,
            self.around.now(),
        )
        try:
            self.queue.send(letter.as_text())
            result.is_queued = True
            self._log(logging.INFO, result.subject, "EVENT_QUEUED", "The event is in the dead-letter queue.")
        except QueueError as error:
            self._undelivered(result, str(error))
        self._notify(
            result,
            self.operations,
            failed_event(
                result.subject,
                tries=result.tries,
                error=result.failure.error,
                reason=result.failure.reason,
                is_queued=result.is_queued,
            ),
        )
        return result

    def attempt(self, event: ObjectEvent) -> Result:
        """Process an event that is kept elsewhere: nothing is queued, and operations are not notified.

        Raises:
            EventError: If the key is still as in a URL.
        """
        request_id = event.event_id or self.around.new_id()
        found = route(event, self.places)
        stage = UNKNOWN if isinstance(found, Ignored) else str(found.stage)
        subject = Subject.of(event, request_id, stage, self.around.clean)
        if isinstance(found, Ignored):
            level = logging.WARNING if found.is_odd else logging.INFO
            self._log(level, subject, "EVENT_IGNORED", f"Nothing is done: {found.reason}.")
            return Result(subject, State.IGNORED, reason=found.reason)
        self._log(logging.INFO, subject, "EVENT_STARTED", f"Starting {found.stage}.")
        result = Result(subject, State.PROCESSED, work=found)
        begun = self.around.seconds()
        try:
            result.outcome = self._try(found, result)
        # Whatever it is, the event must not be lost.
        except Exception as error:  # noqa: BLE001 (kept as the failure that makes a dead letter)
            result.state = State.FAILED
            result.failure = self._describe(error)
        result.seconds = self.around.seconds() - begun
        self._conclude(result, found)
        return result

    def _try(self, work: Work, result: Result) -> StageOutcome:
        """Run a stage, again after faults of the environment; raises that of the last try."""

        def once() -> StageOutcome:
            result.tries += 1
            stages = self.open_stages()
            run = {
                Stage.RAW_TO_CURATED: stages.curate,
                Stage.CURATED_TO_PROD: stages.publish,
                Stage.PARKED_TO_QUARANTINED: stages.expire,
            }
            try:
                return run[work.stage](work)
            except RawFileError:
                # An outcome too. Its message is for whoever has the file: a column's name may be a value there.
                return StageOutcome(is_refused=True, rejected_by_rule={FILE_IS_READABLE: 1})

        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            waited = state.next_action.sleep if state.next_action else 0.0
            failure = self._describe(error) if error else None
            self._log(
                logging.WARNING,
                result.subject,
                "EVENT_RETRIED",
                f"Try {result.tries} of {MOST_TRIES} failed; the next follows.",
                error=failure.error if failure else None,
                reason=failure.reason if failure else None,
                wait_seconds=round(waited, 3),
            )

        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_attempt(MOST_TRIES),
            wait=self._wait_seconds,
            before_sleep=note,
            sleep=self.around.sleep,
            reraise=True,
        )
        return retrying(once)

    def _wait_seconds(self, state: RetryCallState) -> float:
        """Full jitter: anything up to a bound that doubles from try to try."""
        bound = min(_MOST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** (state.attempt_number - 1))
        return self.around.random.uniform(0, bound)

    def _conclude(self, result: Result, work: Work) -> None:
        """Log and measure how it ended, and notify of invalid data."""
        outcome, failure = result.outcome, result.failure
        counts: dict[str, object] = {"tries": result.tries, "seconds": round(result.seconds, 3)}
        if outcome:
            counts |= {"rows": outcome.rows, "rejected": outcome.rejected, "duplicates": outcome.duplicates}
            counts |= {"rejected_by_rule": outcome.counts_by_rule or None}
            counts |= {"quarantined": dict(outcome.quarantined) or None}
            level = logging.WARNING if outcome.has_invalid_data else logging.INFO
            self._log(level, result.subject, "EVENT_PROCESSED", f"Done: {work.stage}.", **counts)
        if failure:
            counts |= {"error": failure.error, "reason": failure.reason}
            self._log(logging.ERROR, result.subject, "EVENT_FAILED", f"Failed for good: {work.stage}.", **counts)
        self.around.measure(
            Measured(
                source=work.source,
                table=work.table,
                stage=str(work.stage),
                at=self.around.now(),
                seconds=result.seconds,
                has_failed=failure is not None,
                rows=outcome.rows if outcome else 0,
                rejected=outcome.rejected if outcome else 0,
                duplicates=outcome.duplicates if outcome else 0,
                quarantined=sum(outcome.quarantined.values()) if outcome else 0,
            ),
            result.subject,
        )
        if outcome and outcome.has_invalid_data:
            self._notify(result, self.data, invalid_data(result.subject, work.source, work.table, outcome))

    def _notify(self, result: Result, channel: Channel, alert: Alert) -> None:
        try:
            channel.send(alert)
        except AlertError as error:
            self._undelivered(result, str(error))

    def _undelivered(self, result: Result, reason: str) -> None:
        reason = self.around.clean(reason)
        result.undelivered.append(reason)
        self._log(logging.ERROR, result.subject, "MESSAGE_UNDELIVERED", reason)

    def _describe(self, error: BaseException) -> Failure:
        """An error of ours by its message, which has no values; any other by where it was raised alone."""
        name = type(error).__name__
        if isinstance(error, GataError):
            return Failure(name, self.around.clean(str(error))[:_MOST_REASON_CHARACTERS])
        return Failure(name, f"unforeseen, raised at {_place_of(error)}")

    def _log(self, level: int, subject: Subject, event: str, message: str, **fields: object) -> None:
        self.around.log(self.around.now(), level, {"event": event, "message": message, **subject.as_fields(), **fields})


def is_transient(error: BaseException) -> bool:
    """Whether the next try may succeed: a fault of the environment that need not last."""
    return isinstance(error, StoreError) and not isinstance(error, _LASTING)


def _place_of(error: BaseException) -> str:
    """The innermost line of this package: no value is in it."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE):
            return f"{path.relative_to(_PACKAGE.parent)}, line {frame.lineno}"
    return "an unknown place"
