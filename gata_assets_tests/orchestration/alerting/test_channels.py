"""An alert topic that accepts connections and never answers is an error within a bounded time.

Real: sockets, the AWS SDK. The limit is injected small.
"""

from __future__ import annotations

import pytest

from gata_assets.errors import AlertError
from gata_assets.orchestration.alerting.channels import SnsAlerts
from gata_assets.orchestration.alerting.message import Alert
from gata_assets_tests.support.loopback import silent_server


@pytest.mark.server
def test_a_topic_that_never_answers_takes_no_alert(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = SnsAlerts(topic_arn="arn:aws:sns:eu-central-1:123456789012:alerts", timeout_seconds=0.2)
    with silent_server() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{port}")
        with pytest.raises(AlertError, match="took no alert: ReadTimeoutError"):
            channel.send(Alert(subject="subject", body="{}"))
