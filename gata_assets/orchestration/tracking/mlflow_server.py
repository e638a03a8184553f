"""MLflow's tracking server: one run for each dataset, which has the dataset as its input, and ends at once.

The only place that knows MLflow. A run is found by the digest and the place of its dataset, so that a repetition adds
nothing; one that a killed process began is completed. Nothing is sent anywhere but to this server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from gata_assets.environment import set_default, set_variable
from gata_assets.errors import SettingsError, TrackingError
from gata_assets.orchestration.tracking.record import DIGEST_TAG, URI_TAG, DatasetRecord

# MLflow's own defaults wait for up to 20 minutes.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
# MLflow reports its use to its makers unless it is told not to before it is imported, and prints addresses to stdout.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_MOST_CHARACTERS = 300
_ADVICE = "Is MLFLOW_TRACKING_URI right, and does the server run and let us in (`gata doctor`)?"
_FINISHED = "FINISHED"
# Answers that are about what is logged; all others are about the server, or whoever asks.
_OF_DATASET = frozenset(
    {
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "MALFORMED_REQUEST",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_CONFLICT",
        "RESOURCE_DOES_NOT_EXIST",
    }
)


class MlflowServer:
    """A tracking server and an experiment of it; connects at the first call."""

    def __init__(self, uri: str, experiment: str) -> None:
        """Set up without importing MLflow; the experiment is created when it is missing."""
        self.uri, self.experiment = uri, experiment

    def log(self, record: DatasetRecord) -> str:
        """Log a dataset unless it is logged already; returns the ID of its run. Raises SettingsError, TrackingError."""
        with self._errors(record.run_name):
            run = self._find(record)
            if run is None:
                tags = dict(record.tags)
                created = self._client.create_run(self._experiment_id, tags=tags, run_name=record.run_name)
                # Of two processes at once, or when a response was lost and the request repeated, the first run stays.
                run = self._find(record) or created
                if run.info.run_id != created.info.run_id:
                    self._client.delete_run(created.info.run_id)
            if run.info.status != _FINISHED:
                self._complete(run, record)
                self._require_logged(run.info.run_id, record)
            return str(run.info.run_id)

    def probe(self) -> str:
        """Look whether the server lets us in; returns its version. Raises SettingsError or TrackingError."""
        client = self._client
        with self._errors("a look"):
            client.search_experiments(max_results=1)
            return self._version()

    def _require_logged(self, run_id: str, record: DatasetRecord) -> None:
        """Raise TrackingError unless the server has what it has taken: a mark says forever that it has."""
        run = self._client.get_run(run_id)
        digests = [entered.dataset.digest for entered in run.inputs.dataset_inputs]
        if run.info.status != _FINISHED or record.digest not in digests:
            raise self._no_server(
                record.run_name, f"run '{run_id}' is {run.info.status}, with {len(digests)} datasets."
            )

    def _no_server(self, what: str, why: str) -> TrackingError:
        return TrackingError(f"MLflow at {self.uri} did not take {what}: {why} {_ADVICE}")

    def _version(self) -> str:
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        found = http_request(get_default_host_creds(self.uri), "/version", "GET")
        version = re.fullmatch(r"[0-9][0-9a-z.]{0,30}", str(found.text).strip())
        return version[0] if found.status_code == 200 and version else "of a version that it does not say"

    def _find(self, record: DatasetRecord) -> Any | None:
        """The first run of the dataset."""
        of_digest = f"tags.`{DIGEST_TAG}` = '{record.tags[DIGEST_TAG]}'"
        found = self._client.search_runs([self._experiment_id], of_digest, max_results=100)
        # A place may have characters that a filter has no words for.
        runs = [run for run in found if run.data.tags.get(URI_TAG) == record.tags[URI_TAG]]
        # Finished ones first: another process may have completed one that is not the first.
        return min(
            runs, key=lambda run: (run.info.status != _FINISHED, run.info.start_time, run.info.run_id), default=None
        )

    def _complete(self, run: Any, record: DatasetRecord) -> None:
        """Fill a run; another process may do so at the same time, and the server then refuses what one of them adds."""
        from mlflow.exceptions import RestException

        try:
            self._fill(run, record)
        except RestException:
            now = self._client.get_run(run.info.run_id)
            if now.info.status != _FINISHED:
                self._fill(now, record)

    def _fill(self, run: Any, record: DatasetRecord) -> None:
        """Log the content of a run and end it; the same again has no effect."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        at, run_id = run.info.start_time, run.info.run_id
        dataset = Dataset(record.name, record.digest, record.source_type, record.source, record.schema, record.profile)
        self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", record.context)])])
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, at, 0) for name, value in record.metrics.items()],
            params=[Param(name, value) for name, value in record.params.items()],
        )
        self._client.set_terminated(run_id, _FINISHED)

    @cached_property
    def _client(self) -> Any:
        for name, value in _QUIET.items():
            set_variable(name, value)
        for name, value in _PATIENCE.items():
            set_default(name, value)
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"MLFLOW_TRACKING_URI is set, and {error.name} is not installed: pip install 'gata-assets[mlflow]', or "
                "remove the setting."
            ) from None
        return MlflowClient(tracking_uri=self.uri)

    @cached_property
    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return str(self._client.create_experiment(self.experiment))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # Another process created it meanwhile.
            found = self._client.get_experiment_by_name(self.experiment)
        if not found.experiment_id:
            raise self._no_server(f"the experiment {self.experiment}", "it answers as no MLflow does.")
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"The experiment {self.experiment} of MLflow is deleted: restore it there (`mlflow experiments restore "
                f"-x {found.experiment_id}`), or name another by MLFLOW_EXPERIMENT."
            )
        return str(found.experiment_id)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """MLflow's errors as ours, which say whether others may be logged all the same."""
        # Sets the variables before MLflow is imported.
        _ = self._client
        from google.protobuf.json_format import ParseError
        from mlflow.exceptions import MlflowException, RestException

        try:
            yield
        except MlflowException as error:
            reason = _first_line(error.message)
            if not isinstance(error, RestException) or error.error_code not in _OF_DATASET:
                raise self._no_server(what, reason) from None
            raise TrackingError(
                f"MLflow at {self.uri} refused {what}: {reason} Its log says more.", is_of_dataset=True
            ) from None
        except ParseError:
            raise self._no_server(what, "it answers as no MLflow does.") from None


def _first_line(message: str) -> str:
    """The reason in a message, cut; of errors of connections without what is around it."""
    line = message.strip().partition("\n")[0].rpartition("(Caused by ")[2]
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"
