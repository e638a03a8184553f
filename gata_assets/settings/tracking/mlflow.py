"""The settings of MLflow: where finished datasets are logged. Credentials are MLflow's own variables."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from gata_assets.settings.values import SettingsGroup, wrong

# Variables of MLflow's client, which a settings file may have.
OF_CLIENT = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_HTTP_REQUEST_TIMEOUT",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER",
)


def _server(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s@?#,]+(/[^\s@?#,]*)?", value):
        raise wrong(
            "is not the URL of a tracking server (https://host:port, without a user's name: that is "
            "MLFLOW_TRACKING_USERNAME)"
        )
    return value


class MlflowSettings(SettingsGroup):
    """The settings of the tracking server."""

    mlflow_tracking_uri: Annotated[str, AfterValidator(_server)] | None = Field(
        None, examples=["http://mlflow.example:5000"]
    )
    """The MLflow tracking server to which finished datasets are logged; if unset, to none. Needs the extra `mlflow`. A
    login is in MLflow's own variables: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or
    MLFLOW_TRACKING_TOKEN."""
    mlflow_experiment: str = Field("gata", min_length=1, max_length=500)
    """The experiment that has their runs, one for each dataset; it is created when it is missing."""
