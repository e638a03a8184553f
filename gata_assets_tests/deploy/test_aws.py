"""deploy/aws: the Dagster instance on AWS, and the Terraform that makes its places.

Real: the classes that dagster.yaml names, with PostgreSQL 18 (by a relay, without TLS), S3 and ECS over HTTP (moto,
which starts no container: the command of a task is run here). Terraform itself, where it is installed: `terraform
fmt`; and where TF_CLI_ARGS_init says where its AWS provider lies, `terraform validate` and `terraform test` as well,
the latter without an account. Everywhere: a parser of its language, and what can be read off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import boto3
import dagster as dg
import hcl2
import psycopg
import pytest
import yaml
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3 import S3ComputeLogManager

from gata_assets.definitions import build_definitions
from gata_assets.settings.model import parse_settings, variable_names
from gata_assets.tickets.assets.jobs import PREPARE_TICKETS
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.training_files import FILES, GENERAL_DATASET, dataset_folder
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.compose import SERVICES
from gata_assets_tests.support.dagster_private import LaunchRunContext, job_origin
from gata_assets_tests.support.loopback import free_port, relay
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, database_rows, world

SECRET = canary("a database's password")

ROOT = Path(__file__).parents[2]
AWS = ROOT / "deploy" / "aws"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/gata-assets:0.1.0"
SOURCES = sorted(AWS.glob("*.tf"))
TEXT = "\n".join(path.read_text() for path in SOURCES)
CODE = re.sub(r"^\s*#.*$", "", TEXT, flags=re.MULTILINE)


@pytest.fixture
def instance(
    postgres_url: str, bucket: str, moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance of AWS, with local places in the variables that it reads."""
    boto3.client("ecs").register_task_definition(
        family="gata-assets-run",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="1024",
        memory="4096",
        containerDefinitions=[{"name": "run", "image": "gata-assets:0.1.0", "memory": 4096}],
    )
    database = f"dagster_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
        directory = connection.execute("SHOW unix_socket_directories").fetchone()
    assert directory
    port = free_port()
    for name, value in {
        "DAGSTER_PG_HOST": "127.0.0.1",
        "DAGSTER_PG_PORT": str(port),
        "DAGSTER_PG_DB": database,
        "DAGSTER_PG_USER": "postgres",
        "DAGSTER_PG_PASSWORD": f"p@ss/{SECRET}",
        "DAGSTER_LOGS_BUCKET": bucket,
        "DAGSTER_RUN_TASK": "gata-assets-run",
    }.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "home"
    home.mkdir()
    text = (AWS / "dagster.yaml").read_text().replace("/tmp/dagster", str(tmp_path / "tmp"))
    # The tests' PostgreSQL has no certificate.
    (home / "dagster.yaml").write_text(text.replace("sslmode: require", "sslmode: prefer"))
    with relay(port, f"{directory[0]}/.s.PGSQL.5432"), dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def daemons_task(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The task that the daemon is, and the place where ECS tells it so; gives the task's ARN."""
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    cluster = ecs.create_cluster(clusterName="gata-assets")["cluster"]["clusterArn"]
    network = {"subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]], "securityGroups": []}
    [task] = ecs.run_task(
        cluster=cluster,
        taskDefinition="gata-assets-run",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )["tasks"]

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"Cluster": cluster, "TaskARN": task["taskArn"]}).encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"http://127.0.0.1:{server.server_port}")
        yield task["taskArn"]
        server.shutdown()


def subnets(task: dict[str, Any]) -> list[str]:
    details = [detail for attachment in task["attachments"] for detail in attachment["details"]]
    return [detail["value"] for detail in details if detail["name"] == "subnetId"]


class TestInstance:
    @pytest.mark.process
    def test_it_is_what_the_file_says(self, instance: dg.DagsterInstance) -> None:
        assert isinstance(instance.compute_log_manager, S3ComputeLogManager)
        launcher = instance.run_launcher
        assert isinstance(launcher, EcsRunLauncher)
        assert "task-definition/gata-assets-run:" in (launcher.task_definition or "")
        assert launcher.secrets_tags == []

    @pytest.mark.process
    def test_a_run_is_recorded_in_the_database_and_its_log_in_the_bucket(
        self, instance: dg.DagsterInstance, bucket: str, postgres_url: str
    ) -> None:
        @dg.asset
        def table() -> None:
            print("counts, and no text")

        result = dg.materialize([table], instance=instance)
        assert instance.get_run_by_id(result.run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
        url = re.sub(r"/gata\?", f"/{os.environ['DAGSTER_PG_DB']}?", postgres_url)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT run_id, status FROM runs").fetchall() == [(result.run_id, "SUCCESS")]
        objects = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        [key] = [one["Key"] for one in objects if one["Key"].endswith(".out")]
        assert key.startswith(f"dagster/storage/{result.run_id}/")
        assert b"counts, and no text" in boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    @pytest.mark.process
    def test_a_run_is_started_as_a_task_whose_command_prepares_the_batch(
        self, instance: dg.DagsterInstance, daemons_task: str, bucket: str, tmp_path: Path
    ) -> None:
        create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
        settings = {
            "TICKETS_URL": f"sqlite:///{tmp_path}/tickets.sqlite",
            "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
            "TARGET_BUCKET": bucket,
        }
        job = build_definitions(parse_settings(settings)).resolve_job_def(PREPARE_TICKETS)
        origin = job_origin(
            PREPARE_TICKETS,
            executable=sys.executable,
            module="gata_assets.definitions",
            attribute="defs",
            image=IMAGE,
        )
        run = instance.create_run_for_job(
            job,
            run_config={"loggers": {"console": {}}},
            tags={"dagster/partition": BATCH_ID},
            job_code_origin=origin,
            status=dg.DagsterRunStatus.STARTING,
        )
        instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))

        ecs = boto3.client("ecs")
        [started] = [arn for arn in ecs.list_tasks(cluster="gata-assets")["taskArns"] if arn != daemons_task]
        daemon, task = ecs.describe_tasks(cluster="gata-assets", tasks=[daemons_task, started])["tasks"]
        assert subnets(task) == subnets(daemon) != []
        [override] = task["overrides"]["containerOverrides"]
        assert override["name"] == "run"
        # ECS takes 8,192 characters of overrides.
        assert len(json.dumps(task["overrides"])) < 7_000
        assert SECRET not in json.dumps(task)

        [entry_point] = re.findall(r'"aws_ecs_task_definition" "run" .*?entryPoint += (\[.*?\])', CODE, flags=re.DOTALL)
        # Without the name of the task that runs are: the role of a run may do nothing with ECS, so it must not try.
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_RUN_TASK"}
        ran = subprocess.run(
            [*json.loads(entry_point), *override["command"]],
            env={**environment, **settings, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        ended = instance.get_run_by_id(run.run_id)
        assert ended and ended.status is dg.DagsterRunStatus.SUCCESS, ran.stderr[-3_000:]
        keys = {one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
        assert {dataset_folder(GENERAL_DATASET, BATCH_ID) + name for name in FILES} <= keys
        said = [json.loads(line) for line in ran.stderr.splitlines()]
        assert {(one["batch_id"], one["run_id"]) for one in said} == {(BATCH_ID, run.run_id)}

    def test_it_says_the_same_as_that_of_one_machine_but_for_places_and_numbers(self) -> None:
        one_machine = yaml.safe_load((ROOT / "dagster.yaml").read_text())
        aws = yaml.safe_load((AWS / "dagster.yaml").read_text())
        assert {*one_machine["storage"], *aws["storage"]} == {"custom", "postgres"}
        for name in set(one_machine) - {"storage", "concurrency", "run_monitoring"}:
            assert aws[name] == one_machine[name]
        for name in ("concurrency", "run_monitoring"):
            assert shape(aws[name]) == shape(one_machine[name])

    def test_every_variable_that_it_reads_is_set_by_the_task_definitions(self) -> None:
        read = set(re.findall(r"env: (\w+)", (AWS / "dagster.yaml").read_text()))
        read |= set(re.findall(r"env: (\w+)", (ROOT / "deploy" / "workspace.yaml").read_text()))
        given = set(re.findall(r"^    ([A-Z_]+) +=", TEXT, flags=re.MULTILINE)) | {"DAGSTER_PG_PASSWORD"}
        assert read <= given
        given |= set(re.findall(r"\b(KAFKA_[A-Z_]+) += ", CODE))
        ours = {name for name in given if not name.startswith(("DAGSTER_", "GATA_CODE_"))}
        assert ours <= set(variable_names())


def shape(value: Any) -> Any:
    return {name: shape(one) for name, one in value.items()} if isinstance(value, dict) else type(value)


class TestTerraform:
    @pytest.mark.parametrize("path", [*SOURCES, AWS / "tests" / "plan.tftest.hcl"], ids=lambda path: path.name)
    def test_a_parser_takes_every_file(self, path: Path) -> None:
        assert hcl2.loads(path.read_text())

    def test_every_variable_is_used_described_and_declared(self) -> None:
        declared = set(re.findall(r'^variable "(\w+)"', CODE, flags=re.MULTILINE))
        outside = re.sub(r'^variable "\w+" \{.*?^\}', "", CODE, flags=re.MULTILINE | re.DOTALL)
        assert set(re.findall(r"\bvar\.(\w+)", outside)) == declared
        for block in re.findall(r'^(?:variable|output) "\w+" \{.*?^\}', CODE, flags=re.MULTILINE | re.DOTALL):
            assert re.search(r'description += "', block)

    def test_every_resource_and_value_that_is_named_is_there(self) -> None:
        resources = set(re.findall(r'^resource "(\w+)" "(\w+)"', CODE, flags=re.MULTILINE))
        data = set(re.findall(r'^data "(\w+)" "(\w+)"', CODE, flags=re.MULTILINE))
        assert set(re.findall(r"(?<!data\.)\b(aws_\w+)\.(\w+)", CODE)) <= resources
        assert set(re.findall(r"\bdata\.(aws_\w+)\.(\w+)", CODE)) == data
        named = set(re.findall(r"\blocal\.(\w+)", CODE))
        assert named <= set(re.findall(r"^  (\w+) += ", CODE, flags=re.MULTILINE))

    def test_nothing_is_reached_from_the_internet(self) -> None:
        blocks = re.findall(r'^resource "\w+" "\w+" \{.*?^\}', CODE, flags=re.MULTILINE | re.DOTALL)
        open_blocks = [block for block in blocks if "0.0.0.0/0" in block or "::/0" in block]
        assert [block.split('"')[1] for block in open_blocks] == ["aws_vpc_security_group_egress_rule"] * 2
        balancers = [block for block in blocks if block.startswith('resource "aws_lb" ')]
        assert len(balancers) == 2 and all(re.search(r"internal += true", block) for block in balancers)
        assert re.search(r"publicly_accessible += false", CODE)
        assert re.search(r"assign_public_ip += false", CODE)

    def test_no_role_may_do_everything_and_none_may_delete(self) -> None:
        actions = [
            action for found in re.findall(r"actions += \[(.*?)\]", CODE) for action in re.findall(r'"(.*?)"', found)
        ]
        assert actions and not [action for action in actions if "*" in action or "Delete" in action]

    def test_what_is_for_all_resources_knows_none(self) -> None:
        statements = re.findall(r"statement \{.*?\n  \}", CODE, flags=re.DOTALL)
        open_ones = [re.findall(r'"(\w+:\w+)"', one) for one in statements if 'resources = ["*"]' in one]
        assert open_ones == [
            ["ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"],
            ["ecr:GetAuthorizationToken"],
        ]

    def test_the_webserver_listens_on_loopback(self) -> None:
        [webserver] = re.findall(r"webserver = \{.*?\n    \}", CODE, flags=re.DOTALL)
        assert '"-h", "127.0.0.1"' in webserver

    def test_the_parts_of_ingestion_are_those_of_compose_with_a_policy_each(self) -> None:
        text = (AWS / "ingestion.tf").read_text()
        parts = re.findall(r"^      (\w+) = \{\n.*?command = (\[.*?\])", text, flags=re.MULTILINE | re.DOTALL)
        for name, command in parts:
            written = json.loads(command.replace("tostring(local.service_port)", '"8002"'))
            assert written == SERVICES[name]["command"]
            assert (AWS.parent / f"iam-policy-ingestion-{name}.json").is_file()
        assert [name for name, _ in parts] == ["service", "consumer", "relay"]
        [tenants] = re.findall(r"ingestion_tenant_policies += (\[.*?\])", CODE)
        written_policies = AWS.parent.glob("iam-policy-ingestion-*-tenant.json")
        assert {f"iam-policy-ingestion-{name}-tenant.json" for name in json.loads(tenants)} == {
            path.name for path in written_policies
        }

    def test_the_parts_of_ingestion_know_neither_database(self) -> None:
        [own] = re.findall(r"ingestion_environment = merge\((.*?)\n  \}\)", CODE, flags=re.DOTALL)
        assert not re.search(r"local\.environment|DB_|_PG_", own)
        assert re.search(
            r"ingestion_container = merge\(local\.container, \{\n    environment = .*\n    secrets = ", CODE
        )

    def test_a_role_of_a_tenant_has_every_policy_of_tenants_and_is_no_tasks(self) -> None:
        text = (AWS / "tenants.tf").read_text()
        named = set(re.findall(r'"(iam-policy-tenant[a-z-]*\.json)"', text))
        assert named == {path.name for path in AWS.parent.glob("iam-policy-tenant*.json")}
        assert re.search(r'type += "AWS"\n +identifiers = each\.value', text)
        assert "ecs" not in text and "aws_iam_role.tenant" not in (AWS / "services.tf").read_text()

    def test_no_secret_is_written_down(self) -> None:
        assert not re.findall(r"^\s+(?:password|secret_string) +=", CODE, flags=re.MULTILINE)

    @pytest.mark.process
    def test_terraform_takes_it(self, tmp_path: Path) -> None:
        terraform = shutil.which("terraform")
        if not terraform:
            pytest.skip("terraform is not installed")
        copy = tmp_path / "deploy" / "aws"
        shutil.copytree(AWS, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        for policy in AWS.parent.glob("iam-policy*.json"):
            shutil.copy(policy, copy.parent)

        def run(*arguments: str) -> None:
            environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
            ran = subprocess.run(
                [terraform or "", *arguments], cwd=copy, env=environment, capture_output=True, text=True, timeout=300
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr

        run("fmt", "-check", "-recursive")
        if "-plugin-dir" not in os.environ.get("TF_CLI_ARGS_init", ""):  # noqa: SIM112
            pytest.skip("fmt passed; TF_CLI_ARGS_init names no -plugin-dir to take the provider from")
        run("init", "-backend=false")
        run("validate")
        run("test")
