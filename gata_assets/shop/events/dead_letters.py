"""Dead letters: events whose processing failed for good, in a queue of SQS or in the target.

A letter has the event, who failed and how often, and the class of the error with a text of ours: nothing of the data.
When a letter is written, and what happens to it, belongs to `process` and `replay`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from gata_assets.errors import QueueError, StoreError
from gata_assets.shop.events.event import ObjectEvent
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

LETTERS = "shop/dead-letters/"
# SQS gives ten messages at a time.
MOST_AT_ONCE = 10
_CONNECT_SECONDS, _READ_SECONDS = 5, 10
_TOTAL_ATTEMPTS = 3
_SQS_HOST_PARTS = 3
# The SDK takes an answer that broke off for one without fields (SQS), or raises the third (SNS).
_BROKEN_OFF = "its answer broke off. Look at the network."
# {"Messages":[]} and some room.
_EMPTY_ANSWER_BYTES = 20
_FAULTS = (BotoCoreError, ClientError, ResponseParserError, ValueError)


@dataclass(frozen=True)
class DeadLetter:
    """An event that failed for good: its request, its stage, the tries, the error's class, a reason without values."""

    event: ObjectEvent
    request_id: str
    stage: str
    tries: int
    error: str
    reason: str
    at: datetime

    def as_text(self) -> str:
        """The message; `parse_event` reads its event."""
        found = {
            "event": self.event.as_fields() | {"id": self.request_id},
            "request_id": self.request_id,
            "stage": self.stage,
            "tries": self.tries,
            "error": self.error,
            "reason": self.reason,
            "at": self.at.isoformat(timespec="milliseconds"),
        }
        return json.dumps(found)


@dataclass(frozen=True)
class Message:
    """A message that was received and is hidden from others for a while; `name` is the same each time it comes."""

    body: str
    name: str
    receipt: str


class DeadLetterQueue(ABC):
    """Where dead letters are. Each method raises QueueError when it was not done, as far as that is known."""

    @abstractmethod
    def send(self, body: str) -> None:
        """Add a message; after a lost answer it may be there twice."""

    @abstractmethod
    def receive(self, most: int, *, hidden_seconds: int) -> Sequence[Message]:
        """Take some messages, at most so many, and hide them; none if the queue is empty."""

    @abstractmethod
    def hide(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages so long from now on; 0 shows them to others at once."""

    @abstractmethod
    def delete(self, message: Message) -> None:
        """Delete a received message; harmless if it is gone."""


@dataclass(frozen=True)
class SqsQueue(DeadLetterQueue):
    """A standard queue of SQS, in its own region. The AWS SDK's other variables (endpoint, credentials) apply."""

    url: str
    region: str
    # Longer than zero: SQS then asks all its servers, and an answer without messages means that there is none.
    wait_seconds: int = 5
    connect_seconds: float = _CONNECT_SECONDS
    read_seconds: float = _READ_SECONDS
    total_attempts: int = _TOTAL_ATTEMPTS

    def send(self, body: str) -> None:
        """See DeadLetterQueue."""
        try:
            answer = self._client.send_message(QueueUrl=self.url, MessageBody=body)
        except _FAULTS as error:
            raise _fault(error, "took no message", "sqs:SendMessage") from None
        if "MessageId" not in answer:
            raise QueueError(f"The queue SHOP_DLQ_URL may have taken no message: {_BROKEN_OFF}")

    def receive(self, most: int, *, hidden_seconds: int) -> Sequence[Message]:
        """See DeadLetterQueue."""
        try:
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(most, MOST_AT_ONCE),
                VisibilityTimeout=hidden_seconds,
                WaitTimeSeconds=self.wait_seconds,
            )
        except _FAULTS as error:
            raise _fault(error, "gave no message", "sqs:ReceiveMessage") from None
        found = answer.get("Messages", [])
        size = int(answer["ResponseMetadata"]["HTTPHeaders"].get("content-length", "0"))
        if not found and size > _EMPTY_ANSWER_BYTES:
            raise QueueError(f"The queue SHOP_DLQ_URL gave no message: {_BROKEN_OFF}")
        return [Message(one["Body"], one["MessageId"], one["ReceiptHandle"]) for one in found]

    def hide(self, messages: Sequence[Message], *, seconds: int) -> None:
        """See DeadLetterQueue; one call for all."""
        if not messages:
            return
        try:
            answer = self._client.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": seconds}
                    for number, message in enumerate(messages)
                ],
            )
        except _FAULTS as error:
            raise _fault(error, "hid no message", "sqs:ChangeMessageVisibility") from None
        if failed := answer.get("Failed"):
            raise QueueError(f"The queue SHOP_DLQ_URL did not hide {len(failed)} messages: {failed[0]['Code']}.")
        if len(answer.get("Successful", [])) < len(messages):
            raise QueueError(f"The queue SHOP_DLQ_URL may have hidden no message: {_BROKEN_OFF}")

    def delete(self, message: Message) -> None:
        """See DeadLetterQueue."""
        try:
            self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)
        except _FAULTS as error:
            raise _fault(error, "deleted no message", "sqs:DeleteMessage") from None

    @cached_property
    def _client(self) -> SQSClient:
        config = Config(
            region_name=_region_of(self.url) or self.region,
            connect_timeout=self.connect_seconds,
            read_timeout=self.wait_seconds + self.read_seconds,
            retries={"total_max_attempts": self.total_attempts, "mode": "standard"},
        )
        return boto3.client("sqs", config=config)


@dataclass(frozen=True)
class StoredQueue(DeadLetterQueue):
    """An object a message in a store, while no queue is set. What is hidden is hidden from this process alone."""

    store: ObjectStore
    folder: str = LETTERS
    _hidden: set[str] = field(default_factory=set, init=False)

    def send(self, body: str) -> None:
        """See DeadLetterQueue; the same message twice is one object."""
        content = body.encode(errors="replace")
        try:
            self.store.write(f"{self.folder}{sha256(content).hexdigest()[:32]}.json", content)
        except StoreError as error:
            raise QueueError(f"The dead letter could not be kept in the target: {error}") from None

    def receive(self, most: int, *, hidden_seconds: int) -> Sequence[Message]:
        """See DeadLetterQueue."""
        try:
            keys = [key for key in sorted(self.store.list_keys(self.folder)) if key not in self._hidden][:most]
            found = [Message(self.store.read(key).decode(errors="replace"), key, key) for key in keys]
        except StoreError as error:
            raise QueueError(f"The dead letters in the target could not be read: {error}") from None
        if hidden_seconds:
            self._hidden.update(keys)
        return found

    def hide(self, messages: Sequence[Message], *, seconds: int) -> None:
        """See DeadLetterQueue."""
        names = {message.receipt for message in messages}
        if seconds:
            self._hidden.update(names)
        else:
            self._hidden.difference_update(names)

    def delete(self, message: Message) -> None:
        """See DeadLetterQueue."""
        try:
            self.store.delete(message.receipt)
        except StoreError as error:
            raise QueueError(f"A dead letter in the target could not be deleted: {error}") from None
        self._hidden.discard(message.receipt)


def _region_of(url: str) -> str | None:
    """The region in a queue's URL, https://sqs.<region>.amazonaws.com/…; None for another host."""
    parts = (urlsplit(url).hostname or "").split(".")
    return parts[1] if len(parts) > _SQS_HOST_PARTS and parts[0] == "sqs" else None


def _fault(error: Exception, what: str, action: str) -> QueueError:
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        advice = f"Look whether it exists, and whether the role has {action} on it and the use of its KMS key."
        return QueueError(f"The queue SHOP_DLQ_URL {what}: {code}. {advice}")
    advice = "Look at the network, the credentials and the variables AWS_…."
    return QueueError(f"The queue SHOP_DLQ_URL {what}: {type(error).__name__}. {advice}")
