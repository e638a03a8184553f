"""Stand-ins around the processing of a shop's events: an engine that does as it is told, a world without waiting.

Queue and channels here keep what they are given; some fail at a call of a given number, before or after doing it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from gata_assets.errors import AlertError, QueueError
from gata_assets.orchestration.alerting.message import Alert
from gata_assets.shop.events.dead_letters import DeadLetterQueue, Message
from gata_assets.shop.events.event import ObjectEvent
from gata_assets.shop.events.metrics import Measured
from gata_assets.shop.events.process import Processor, Surroundings
from gata_assets.shop.events.routing import Place, ShopPlaces, Stage, Work
from gata_assets.shop.events.stages import StageOutcome
from gata_assets.tables.masking.card_numbers import truncate_in_text

PLACES = ShopPlaces(Place("raw-bucket"), Place("curated-bucket"), Place("prod-bucket"), frozenset({"ecommerce"}))
RAW_EVENT = ObjectEvent(
    "raw-bucket", "ecommerce/customers-raw/year=2025/month=01/day=16/LOAD00000001.parquet", event_id="request-1"
)
MANIFEST_EVENT = ObjectEvent("curated-bucket", "ecommerce/customers/manifest.json", event_id="request-2")
SOURCE_EVENT = ObjectEvent("curated-bucket", "ecommerce/", event_id="request-3")
STARTED_AT = datetime(2026, 1, 3, 4, 5, 6, tzinfo=UTC)


@dataclass
class ToldStages:
    """An engine whose runs end as `ends` says, one after another; the last one again and again."""

    ends: list[StageOutcome | BaseException] = field(default_factory=lambda: [StageOutcome(rows=10)])
    done: list[Work] = field(default_factory=list)

    def _run(self, work: Work) -> StageOutcome:
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, BaseException):
            raise end
        self.done.append(work)
        return end

    def curate(self, work: Work) -> StageOutcome:
        """See Stages."""
        assert work.stage is Stage.RAW_TO_CURATED
        return self._run(work)

    def expire(self, work: Work) -> StageOutcome:
        """See Stages."""
        assert work.stage is Stage.PARKED_TO_QUARANTINED
        return self._run(work)

    def publish(self, work: Work) -> StageOutcome:
        """See Stages."""
        assert work.stage is Stage.CURATED_TO_PROD
        return self._run(work)


@dataclass
class FailingCalls:
    """Which calls over all that share this fail, counted from 1: before they do anything, or `after` it."""

    failing: frozenset[int] = frozenset()
    after: bool = False
    calls: int = 0

    def around(self, do: Callable[[], None], error: type[AlertError] | type[QueueError]) -> None:
        """Do something, or fail."""
        self.calls += 1
        fails = self.calls in self.failing
        if fails and not self.after:
            raise error("it was not done")
        do()
        if fails:
            raise error("its answer was lost")


@dataclass
class KeptAlerts:
    """A channel that keeps its alerts."""

    sent: list[Alert] = field(default_factory=list)
    calls: FailingCalls = field(default_factory=FailingCalls)

    def send(self, alert: Alert) -> None:
        """See Channel."""
        self.calls.around(lambda: self.sent.append(alert), AlertError)


@dataclass
class KeptQueue(DeadLetterQueue):
    """A queue in memory, as SQS is one: what is received is hidden until it is shown again."""

    bodies: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    calls: FailingCalls = field(default_factory=FailingCalls)
    _names: count[int] = field(default_factory=count)

    def send(self, body: str) -> None:
        """See DeadLetterQueue."""
        self.calls.around(lambda: self.bodies.update({str(next(self._names)): body}), QueueError)

    def receive(self, most: int, *, hidden_seconds: int) -> Sequence[Message]:
        """See DeadLetterQueue."""
        found: list[Message] = []

        def take() -> None:
            names = [name for name in self.bodies if name not in self.hidden][:most]
            self.hidden.update(names)
            found.extend(Message(self.bodies[name], name, name) for name in names)

        self.calls.around(take, QueueError)
        return found

    def hide(self, messages: Sequence[Message], *, seconds: int) -> None:
        """See DeadLetterQueue."""
        names = {message.name for message in messages}
        change = self.hidden.update if seconds else self.hidden.difference_update
        self.calls.around(lambda: change(names), QueueError)

    def delete(self, message: Message) -> None:
        """See DeadLetterQueue."""
        self.calls.around(lambda: void(self.bodies.pop(message.name, None)), QueueError)

    def show_all(self) -> None:
        """Time passes."""
        self.hidden.clear()


def void(_: object) -> None:
    """Nothing."""


@dataclass
class World:
    """A processor over stand-ins, and what it did to them."""

    stages: ToldStages = field(default_factory=ToldStages)
    queue: KeptQueue = field(default_factory=KeptQueue)
    data: KeptAlerts = field(default_factory=KeptAlerts)
    operations: KeptAlerts = field(default_factory=KeptAlerts)
    lines: list[dict[str, object]] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    seed: int = 7
    opens: list[BaseException] = field(default_factory=list)
    _ticks: count[int] = field(default_factory=count)

    def _log(self, at: datetime, level: int, fields: Mapping[str, object]) -> None:
        self.lines.append({"at": at.isoformat(), "level": level, **fields})

    def _open(self) -> ToldStages:
        if self.opens:
            raise self.opens.pop(0)
        return self.stages

    @property
    def processor(self) -> Processor:
        """The processor."""
        around = Surroundings(
            now=lambda: STARTED_AT + timedelta(seconds=next(self._ticks)),
            seconds=lambda: float(next(self._ticks)),
            sleep=self.slept.append,
            random=Random(self.seed),
            new_id=lambda: f"new-{next(self._ticks)}",
            log=self._log,
            measure=lambda measured, _: self.measured.append(measured),
            clean=truncate_in_text,
        )
        return Processor(self._open, PLACES, self.queue, self.data, self.operations, around)

    @property
    def everything_shown(self) -> str:
        """All lines, messages and alerts."""
        alerts = [f"{alert.subject}\n{alert.body}" for alert in (*self.data.sent, *self.operations.sent)]
        return "\n".join(
            [*map(json.dumps, self.lines), *self.queue.bodies.values(), *alerts, *map(repr, self.measured)]
        )
