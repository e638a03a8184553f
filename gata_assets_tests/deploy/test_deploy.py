"""The files that put the project into AWS: the image, the task, the workflow's state and the rights of the role.

Real: the policies, tried by an S3 server that evaluates them (moto over HTTP, signatures checked) for an assumed
role that has nothing else, with the project's own store and IO manager. Not evaluated there, so not tried here:
KMS, and resources of other services than S3: the statements about the Data API, the secret and the key are read only.
The image is not built (deploy/show-container.sh runs its steps); its Dockerfile is read.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from gata_assets.cli.doctor import PROBE_KEY
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import DeleteDeniedError, StoreError
from gata_assets.interactions.tables import ITEMS
from gata_assets.settings.model import parse_settings, variable_names
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tickets.assets.io_managers import DatasetIOManager
from gata_assets.tickets.splitting.splits import Split
from gata_assets.tickets.training_files import (
    FILES,
    GENERAL_DATASET,
    LOW_VOLUME_DATASET,
    Dataset,
    dataset_folder,
    manifest_key,
    table_key,
)
from gata_assets_tests.support.iam_cloud import REGION, Cloud, make_bucket

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
JSON_FILES = tuple(sorted(DEPLOY.glob("*.json")))
BATCH = "2026010203"

# The environment that the workflow's task definition gives.
WORKFLOW_ENVIRONMENT = {"DB_ARN", "DB_SECRET_ARN", "LOG_LEVEL", "LOW_VOLUME_FALLBACK_LABEL", "TARGET_BUCKET"}

KEYS_OF_A_BATCH = (
    table_key("tickets", BATCH),
    *(dataset_folder(dataset, BATCH) + name for dataset in (GENERAL_DATASET, LOW_VOLUME_DATASET) for name in FILES),
    *(manifest_key(dataset, BATCH) for dataset in (GENERAL_DATASET, LOW_VOLUME_DATASET)),
)
LOW_VOLUME_KEYS = (
    *(dataset_folder(LOW_VOLUME_DATASET, BATCH) + name for name in FILES),
    manifest_key(LOW_VOLUME_DATASET, BATCH),
)


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DEPLOY / name).read_text())
    return content


def filled(name: str, **values: str) -> str:
    """A file with its placeholders filled in; every one needs a value, `bucket` for <BUCKET>."""
    return re.sub(r"<([A-Z_]+)>", lambda found: values[found[1].lower()], (DEPLOY / name).read_text())


def statements(name: str) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in load(name)["Statement"]}


def actions(name: str) -> set[str]:
    given = [statement["Action"] for statement in load(name)["Statement"]]
    return {action for one in given for action in ([one] if isinstance(one, str) else one)}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, continued lines joined, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines)]


class TestTask:
    def test_it_has_the_size_that_the_workflow_gives(self) -> None:
        task = load("ecs-task-definition.json")
        assert (task["cpu"], task["memory"]) == ("1024", "4096")
        assert task["requiresCompatibilities"] == ["FARGATE"] and task["networkMode"] == "awsvpc"

    def test_its_environment_is_the_workflows_and_the_settings_know_every_name(self) -> None:
        [container] = load("ecs-task-definition.json")["containerDefinitions"]
        names = {one["name"] for one in container["environment"]}
        assert names == WORKFLOW_ENVIRONMENT
        assert names <= set(variable_names())

    def test_it_runs_as_the_images_user_on_a_read_only_root_with_a_volume_for_temporary_files(self) -> None:
        task = load("ecs-task-definition.json")
        [container] = task["containerDefinitions"]
        assert container["user"] == dict(instructions())["USER"]
        assert container["readonlyRootFilesystem"] is True
        [mount] = container["mountPoints"]
        assert mount["sourceVolume"] in [volume["name"] for volume in task["volumes"]]
        assert [mount["containerPath"]] == json.loads(dict(instructions())["VOLUME"])
        assert mount["readOnly"] is False

    def test_it_can_be_stopped_since_something_else_is_process_1(self) -> None:
        [container] = load("ecs-task-definition.json")["containerDefinitions"]
        assert container["linuxParameters"]["initProcessEnabled"] is True
        assert 1 <= container["stopTimeout"] <= 120
        assert container["logConfiguration"]["logDriver"] == "awslogs"

    def test_the_image_chooses_the_command_and_the_workflow_its_argument(self) -> None:
        [container] = load("ecs-task-definition.json")["containerDefinitions"]
        assert "command" not in container and "entryPoint" not in container


class TestWorkflowState:
    def test_it_waits_for_the_task_and_hands_it_the_batch_id_alone(self) -> None:
        state = load("step-functions-task.json")
        [container] = load("ecs-task-definition.json")["containerDefinitions"]
        [override] = state["Parameters"]["Overrides"]["ContainerOverrides"]
        assert state["Resource"] == "arn:aws:states:::ecs:runTask.sync"
        assert override == {"Name": container["name"], "Command.$": "States.Array($.batch_id)"}
        assert state["Parameters"]["TaskDefinition"] == load("ecs-task-definition.json")["family"]

    def test_it_tries_again_when_ecs_failed_and_not_when_the_batch_did(self) -> None:
        errors = [error for retry in load("step-functions-task.json")["Retry"] for error in retry["ErrorEquals"]]
        # States.TaskFailed is what a non-zero exit code becomes; States.ALL would include it.
        assert errors and all(error.startswith("ECS.") for error in errors)


class TestImage:
    def test_its_entry_point_leaves_only_the_batch_id_to_be_said(self) -> None:
        image = instructions()
        assert [json.loads(rest) for name, rest in image if name == "ENTRYPOINT"] == [["gata", "prepare"]]
        assert not [rest for name, rest in image if name == "CMD"]

    def test_its_user_is_a_number_and_not_root(self) -> None:
        [user] = [rest for name, rest in instructions() if name == "USER"]
        assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user)

    def test_its_base_is_one_pinned_tag_for_both_stages(self) -> None:
        image = instructions()
        tag = dict(rest.partition("=")[::2] for name, rest in image if name == "ARG")["PYTHON_IMAGE"]
        assert re.fullmatch(r"python:3\.1[123](\.\d+)?-slim-[a-z]+", tag)
        assert [rest.split()[0] for name, rest in image if name == "FROM"] == ["${PYTHON_IMAGE}"] * 2

    def test_it_installs_by_the_script_alone_the_dependencies_first(self) -> None:
        runs = [rest for name, rest in instructions() if name == "RUN"]
        assert [run for run in runs if "install" in run] == [
            "deploy/install.sh dependencies requirements.lock /opt/gata",
            "deploy/install.sh project . /opt/gata",
        ]
        assert not [run for run in runs if re.search(r"\bpip3?\b|\bapt(-get)?\b|\bcurl\b", run)]

    def test_the_script_installs_what_is_locked_and_nothing_else(self) -> None:
        script = (DEPLOY / "install.sh").read_text().replace("\\\n", " ")
        installs = [line for line in script.splitlines() if re.search(r"-m pip .* install ", line)]
        assert len(installs) == 1 and "--no-deps" in installs[0]
        [dependencies, project] = [line for line in script.splitlines() if line.strip().startswith("pip_install ")]
        assert "--require-hashes" in dependencies and "--only-binary :all:" in dependencies
        assert "--no-build-isolation" in project and "--editable" not in project

    def test_what_runs_reads_the_loops_that_the_build_compiled_on_whatever_cpu(self) -> None:
        environments = [rest for name, rest in instructions() if name == "ENV"]
        assert ["NUMBA_CPU_NAME=generic" in one.split() for one in environments] == [True, True]
        assert not [one for one in environments if "NUMBA_CACHE_DIR" in one]
        lines = [line.strip() for line in (DEPLOY / "install.sh").read_text().splitlines()]
        [compiling] = [line for line in lines if line.endswith("-m gata_assets.interactions.warm_up")]
        # After the project is there, and by the environment's own Python, from where it is installed.
        assert lines.index(compiling) > lines.index('pip_install "$venv" --no-build-isolation "$source"')
        assert '"$venv/bin/python" -P ' in compiling

    def test_it_says_which_commit_it_is(self) -> None:
        image = instructions()
        assert ("ARG", 'GATA_REVISION=""') in image
        assert any(name == "ENV" and "GATA_REVISION=${GATA_REVISION}" in rest for name, rest in image)
        assert "GATA_REVISION" in variable_names()

    def test_what_it_copies_goes_to_the_build(self) -> None:
        sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        copied = [
            source
            for name, rest in instructions()
            if name == "COPY" and "--from" not in rest
            for source in rest.split()[:-1]
        ]
        assert set(copied) - {"."} <= sent
        assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "gata_assets"} <= sent


class TestPoliciesAsWritten:
    @pytest.mark.parametrize("path", JSON_FILES, ids=lambda path: path.name)
    def test_every_placeholder_is_explained(self, path: Path) -> None:
        placeholders = set(re.findall(r"<[A-Z_]+>", path.read_text()))
        # The rules of a bucket are the same for every bucket.
        assert bool(placeholders) == (path.name != "s3-lifecycle.json")
        assert not {name for name in placeholders if name not in (DEPLOY / "README.md").read_text()}

    def test_the_role_may_do_what_a_batch_needs_and_no_more(self) -> None:
        assert actions("iam-policy.json") == {
            "rds-data:ExecuteStatement",
            "secretsmanager:GetSecretValue",
            "s3:GetObject",
            "s3:PutObject",
            "s3:ListBucket",
            "kms:Decrypt",
            "kms:GenerateDataKey",
        }
        assert actions("iam-policy-delete.json") == {"s3:DeleteObject"}
        assert actions("iam-policy-alerts.json") == {"sns:Publish", "kms:Decrypt", "kms:GenerateDataKey"}

    def test_a_tenants_policy_is_about_its_own_folders_and_changes_no_raw_file(self) -> None:
        written = statements("iam-policy-interactions.json")
        prefix = "arn:aws:s3:::<BUCKET>/<TENANT>/"
        places = TenantLayout("<TENANT>")
        folders = {
            key.split("/")[1] for key in (places.report(ITEMS), places.staged(ITEMS), places.curated("interactions"))
        }
        folders |= {key.split("/")[1] for key in (places.features("B"), places.training_data("B"))}
        folders |= {places.quarantine(ITEMS).split("/")[1]}
        assert set(written["WriteTables"]["Resource"]) == {f"{prefix}{folder}/*" for folder in folders}
        assert written["ReadFilesAndTables"]["Resource"] == f"{prefix}*"
        assert written["ListFilesAndTables"]["Condition"] == {"StringLike": {"s3:prefix": "<TENANT>/*"}}
        assert actions("iam-policy-interactions.json") == {
            "s3:GetObject",
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            "s3:ListBucket",
        }
        deleted = statements("iam-policy-interactions-delete.json")["WithdrawTablesOfABatch"]["Resource"]
        assert set(deleted) == {f"{prefix}features/*", f"{prefix}training_data/*"}
        assert actions("iam-policy-interactions-delete.json") == {"s3:DeleteObject"}

    @pytest.mark.parametrize(
        "name",
        [path.name for path in JSON_FILES if path.name.startswith("iam-policy")],
    )
    def test_no_statement_is_about_everything(self, name: str) -> None:
        for statement in statements(name).values():
            resources = statement["Resource"]
            for resource in [resources] if isinstance(resources, str) else resources:
                assert re.search(r"<(BUCKET|CLUSTER|SECRET|KEY|TOPIC)>", resource)
            assert statement["Effect"] == "Allow"

    def test_the_task_reads_the_cluster_and_the_secret_that_the_role_may_read(self) -> None:
        [container] = load("ecs-task-definition.json")["containerDefinitions"]
        environment = {one["name"]: one["value"] for one in container["environment"]}
        allowed = {one["Action"]: one["Resource"] for one in load("iam-policy.json")["Statement"][:2]}
        assert allowed["rds-data:ExecuteStatement"] == environment["DB_ARN"]
        assert allowed["secretsmanager:GetSecretValue"] == environment["DB_SECRET_ARN"]

    def test_listing_is_limited_to_the_prefixes_that_are_written(self) -> None:
        written = statements("iam-policy.json")["ReadAndWriteBatches"]["Resource"]
        listed = statements("iam-policy.json")["LookForObjectsOfBatches"]["Condition"]
        assert listed == {"StringLike": {"s3:prefix": [resource.partition("/")[2] for resource in written]}}
        # The names of the bucket's folders, by which tenants are found, and nothing in them.
        folders = statements("iam-policy.json")["LookForTenants"]
        assert folders["Action"] == "s3:ListBucket"
        assert folders["Condition"] == {"StringEquals": {"s3:prefix": "", "s3:delimiter": "/"}}


def task_policy(cloud: Cloud, name: str = "iam-policy.json") -> str:
    return filled(
        name,
        account="123456789012",
        region=REGION,
        bucket=cloud.bucket,
        cluster="gata",
        secret="gata-reader-A1b2C3",
        key="1234abcd-12ab-34cd-56ef-1234567890ab",
        tenant="acme",
    )


@pytest.fixture
def store(cloud: Cloud) -> S3StoreResource:
    """What a task has."""
    return cloud.store_of(task_policy(cloud))


@pytest.fixture
def deleting_store(cloud: Cloud) -> S3StoreResource:
    """What a task has with the extra policy."""
    return cloud.store_of(task_policy(cloud), task_policy(cloud, "iam-policy-delete.json"))


class TestPoliciesTried:
    """Keys in loops: a role and its client for each of them would take ten seconds more."""

    def test_a_task_may_look_for_write_and_read_every_object_of_a_batch(self, store: S3StoreResource) -> None:
        for key in KEYS_OF_A_BATCH:
            assert not store.exists(key)
            store.write(key, b"content")
            assert store.exists(key)
            store.write(key, b"other content")
            assert store.read(key) == b"other content"

    def test_a_task_may_not_delete(self, cloud: Cloud, store: S3StoreResource) -> None:
        keys = {*KEYS_OF_A_BATCH, PROBE_KEY}
        for key in keys:
            store.write(key, b"content")
            with pytest.raises(DeleteDeniedError, match=f"{key} .*the role needs s3:DeleteObject"):
                store.delete(key)
        assert cloud.keys() == keys

    def test_a_task_is_refused_what_is_elsewhere_in_the_bucket(self, cloud: Cloud, store: S3StoreResource) -> None:
        for key in ("models/gata-general/model.tar.gz", "training.json", "training"):
            cloud.put(key)
            with pytest.raises(StoreError, match=f"{key} .*the role needs s3:GetObject"):
                store.read(key)
            with pytest.raises(StoreError, match=f"{key} .*the role needs s3:PutObject"):
                store.write(key, b"content")

    def test_a_task_is_refused_another_bucket(self, cloud: Cloud) -> None:
        other = make_bucket(cloud.url)
        store = cloud.store_of(task_policy(cloud), bucket=other.bucket)
        with pytest.raises(StoreError, match="the role needs s3:PutObject"):
            store.write(KEYS_OF_A_BATCH[0], b"content")

    def test_without_a_policy_a_task_may_do_nothing(self, cloud: Cloud) -> None:
        # That the server refuses at all is what the other tests stand on.
        with pytest.raises(StoreError, match="the role needs s3:PutObject"):
            cloud.store_of().write(KEYS_OF_A_BATCH[0], b"content")
        with pytest.raises(StoreError, match="may not be looked for: the role needs s3:ListBucket"):
            cloud.store_of().exists(KEYS_OF_A_BATCH[0])

    def test_the_extra_policy_lets_a_low_volume_dataset_go_and_doctors_probe(
        self, cloud: Cloud, deleting_store: S3StoreResource
    ) -> None:
        for key in (*LOW_VOLUME_KEYS, PROBE_KEY):
            deleting_store.write(key, b"content")
            deleting_store.delete(key)
            assert not deleting_store.exists(key)
        assert cloud.keys() == set()

    def test_the_extra_policy_lets_nothing_else_go(self, cloud: Cloud, deleting_store: S3StoreResource) -> None:
        keys = set(KEYS_OF_A_BATCH) - set(LOW_VOLUME_KEYS)
        for key in keys:
            deleting_store.write(key, b"content")
            with pytest.raises(DeleteDeniedError, match=key):
                deleting_store.delete(key)
        assert cloud.keys() == keys


class TestTenantsPolicyTried:
    def test_a_tenants_tables_may_be_written_listed_and_read_and_nothing_of_another(self, cloud: Cloud) -> None:
        store = cloud.store_of(task_policy(cloud, "iam-policy-interactions.json"))
        tables = ("acme/reports/items/a.json", "acme/curated/items/items.parquet", "acme/features/B/manifest.json")
        for key in tables:
            store.write(key, b"content")
            assert store.read(key) == b"content"
        assert set(store.list_keys("acme/")) == set(tables)
        cloud.put("acme/raw/items/a.csv")
        assert store.read("acme/raw/items/a.csv")
        for key in ("acme/raw/items/b.csv", "globex/curated/items/items.parquet", "training/x"):
            with pytest.raises(StoreError, match="the role needs s3:PutObject"):
                store.write(key, b"content")
        for key in tables:
            with pytest.raises(DeleteDeniedError):
                store.delete(key)

    def test_files_of_many_parts_may_be_written(self, cloud: Cloud, tmp_path: Path) -> None:
        # boto3 sends what has 8 MiB and more in parts.
        large = tmp_path / "part-00000.parquet"
        large.write_bytes(bytes(9 * 1024 * 1024))
        store = cloud.store_of(task_policy(cloud, "iam-policy-interactions.json"))
        store.write_file("acme/features/B/user_features/part-00000.parquet", large)
        assert store.exists("acme/features/B/user_features/part-00000.parquet")

    def test_the_extra_policy_lets_tables_of_a_batch_go_and_nothing_else(self, cloud: Cloud) -> None:
        names = ("iam-policy-interactions.json", "iam-policy-interactions-delete.json")
        store = cloud.store_of(*(task_policy(cloud, name) for name in names))
        for key in ("acme/features/B/manifest.json", "acme/training_data/B/with_features/part-00001.parquet"):
            store.write(key, b"content")
            store.delete(key)
        cloud.put("acme/raw/items/a.csv", "acme/curated/items/items.parquet", "globex/features/B/manifest.json")
        for key in sorted(cloud.keys()):
            with pytest.raises(DeleteDeniedError):
                store.delete(key)


def low_volume_dataset() -> Dataset:
    rows = pd.DataFrame({"text": ["a lost parcel", "a late parcel"], "label": [7, 7]})
    return Dataset(
        name=LOW_VOLUME_DATASET,
        batch_id=BATCH,
        split=Split(train=rows.head(1), test=rows.tail(1)),
        reason="",
        windows={},
        rules=parse_settings({}).tickets.rules,
        code_version="0",
    )


def write(store: S3StoreResource, dataset: Dataset) -> None:
    # As a context manager: the context has a Dagster instance of its own, which is closed with it.
    with dg.build_output_context(asset_key=dg.AssetKey("low_volume_split"), partition_key=BATCH) as context:
        DatasetIOManager(store=store).handle_output(context, dataset)


class TestABatchThatIsRunAgain:
    def test_is_written_over_without_the_right_to_delete(self, store: S3StoreResource) -> None:
        write(store, low_volume_dataset())
        write(store, replace(low_volume_dataset(), code_version="1"))
        assert json.loads(store.read(manifest_key(LOW_VOLUME_DATASET, BATCH)))["code_version"] == "1"

    def test_fails_without_that_right_when_it_has_no_low_volume_dataset_any_more(self, store: S3StoreResource) -> None:
        write(store, low_volume_dataset())
        with pytest.raises(DeleteDeniedError, match="Delete it by hand or give the role the right"):
            write(store, replace(low_volume_dataset(), split=None, reason="no label has enough tickets"))
        assert json.loads(store.read(manifest_key(LOW_VOLUME_DATASET, BATCH)))["is_made"] is False

    def test_withdraws_the_dataset_with_the_extra_policy(self, cloud: Cloud, deleting_store: S3StoreResource) -> None:
        write(deleting_store, low_volume_dataset())
        assert cloud.keys() == set(LOW_VOLUME_KEYS)
        write(deleting_store, replace(low_volume_dataset(), split=None, reason="no label has enough tickets"))
        assert cloud.keys() == {manifest_key(LOW_VOLUME_DATASET, BATCH)}
