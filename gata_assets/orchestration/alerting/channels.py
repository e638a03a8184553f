"""The channels that report failed runs: an SNS topic, or the log of the process.

`message` composes the text; the sensor decides when to send.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod

import boto3
import dagster as dg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from gata_assets.errors import AlertError
from gata_assets.orchestration.alerting.message import Alert


class AlertChannel(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Somewhere that alerts are sent to."""

    @abstractmethod
    def send(self, alert: Alert) -> None:
        """Send one alert; raises AlertError when it was not accepted."""


class SnsAlerts(AlertChannel):
    """A standard SNS topic, in its own region. The AWS SDK's other variables (endpoint, credentials) apply."""

    topic_arn: str
    # The variable that names the topic, for errors.
    setting: str = "ALERT_TOPIC_ARN"
    # A tick may take a minute in total, and sends several alerts.
    timeout_seconds: float = 5
    total_attempts: int = 2

    def send(self, alert: Alert) -> None:
        """See AlertChannel; one Publish."""
        config = Config(
            region_name=self.topic_arn.split(":")[3],
            connect_timeout=self.timeout_seconds,
            read_timeout=self.timeout_seconds,
            retries={"total_max_attempts": self.total_attempts},
        )
        try:
            boto3.client("sns", config=config).publish(
                TopicArn=self.topic_arn, Subject=alert.subject, Message=alert.body
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise AlertError(
                f"The topic {self.setting} took no alert: {code}. Look whether it exists, and whether the role has "
                "sns:Publish on it and the use of the topic's KMS key."
            ) from None
        except (BotoCoreError, ResponseParserError, ValueError) as error:
            raise AlertError(
                f"The topic {self.setting} took no alert: {type(error).__name__}. Look at the network, the "
                "credentials and the variables AWS_…."
            ) from None


class LoggedAlerts(AlertChannel):
    """The process's standard error, one line of JSON an alert: for an alarm on the log."""

    level: str = "ERROR"

    def send(self, alert: Alert) -> None:
        """See AlertChannel."""
        print(json.dumps({"level": self.level, "subject": alert.subject, **json.loads(alert.body)}), file=sys.stderr)
