"""deploy/shop: what EventBridge starts, by which command, with which rights.

Real: the policies, tried by an S3 server that evaluates them (moto over HTTP) for roles that have nothing else; the
calls of SQS and SNS that the code makes, as the SDK names them. Not evaluated there, so only read: Glue, KMS, policies
of buckets. Terraform itself as in test_aws. Patterns of EventBridge are matched by a few lines here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import boto3
import hcl2
import pytest
import yaml

from gata_assets.cli.main import main
from gata_assets.errors import StoreError
from gata_assets.orchestration.alerting.message import Alert
from gata_assets.settings.model import variable_names
from gata_assets.shop.events.dead_letters import SqsQueue
from gata_assets.shop.events.event import parse_event
from gata_assets.shop.events.metrics import NAMESPACE, UNITS
from gata_assets.shop.events.notifications import DATA_TOPIC, open_channel
from gata_assets.shop.events.prometheus import METRICS
from gata_assets.shop.events.routing import Stage, Work, route, split_by_source
from gata_assets_tests.cli.test_every_command import options_of
from gata_assets_tests.reference import all_commands, exit_codes
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.iam_cloud import Cloud, iam_switched_off, make_bucket
from gata_assets_tests.support.shop_events import MANIFEST_EVENT, PLACES, RAW_EVENT

SHOP = Path(__file__).parents[2] / "deploy" / "shop"
SOURCES = sorted(SHOP.glob("*.tf"))
CODE = re.sub(r"^\s*#.*$", "", "\n".join(path.read_text() for path in SOURCES), flags=re.MULTILINE)
JOBS = {"curate": ("curate",), "publish": ("publish",), "replay": ("curate", "publish", "replay")}
ALARMS = yaml.safe_load((SHOP / "prometheus-alerts.yaml").read_text())["groups"][0]["rules"]


def filled(policy: str, **values: str) -> str:
    """A policy with its placeholders filled in; those that are not given have a name that means nothing."""
    values = {"key": "arn:aws:kms:us-east-1:123456789012:key/any-key", **values}
    text = (SHOP / "policies" / f"{policy}.json").read_text()
    return re.sub(r"\$\{([a-z_]+)\}", lambda found: values.get(found[1], f"any-{found[1].replace('_', '-')}"), text)


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(filled(policy))["Statement"]
    return found


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def actions(policy: str, service: str = "") -> set[str]:
    found = {action for statement in statements(policy) for action in as_list(statement["Action"])}
    return {action for action in found if action.startswith(service)}


def block(kind: str, name: str) -> str:
    """A resource's block, as it is written."""
    [found] = re.findall(rf'^resource "{kind}" "{name}" \{{.*?^\}}', CODE, flags=re.MULTILINE | re.DOTALL)
    return str(found)


class TestPolicies:
    def test_each_job_has_the_policies_of_its_stages(self) -> None:
        written = re.findall(
            r"^    (\w+) += (\[.*\])$", CODE.split("policies_of_jobs = {")[1].split("}")[0], re.MULTILINE
        )
        assert {name: tuple(json.loads(policies)) for name, policies in written} == JOBS

    def test_each_may_do_what_its_stage_needs_in_the_store_and_no_more(self) -> None:
        write = {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"}
        assert actions("curate", "s3:") == write
        # Files of prod that no partition has any more are dropped after a while.
        assert actions("publish", "s3:") == write | {"s3:DeleteObject"}
        assert actions("replay", "s3:") == set()

    def test_prod_is_made_without_raw_files_and_curated_without_prod(self) -> None:
        assert "any-raw" not in filled("publish") and "any-prod" not in filled("curate")
        assert "NotForTablesForAnalysts" in CODE and 'each.key == "raw" ? ["publish"] : []' in CODE

    def test_the_catalog_is_one_database_and_its_tables(self) -> None:
        [statement] = [one for one in statements("publish") if as_list(one["Action"])[0].startswith("glue:")]
        assert {resource.partition(":any-account:")[2] for resource in statement["Resource"]} == {
            "catalog",
            "database/any-database",
            "table/any-database/*",
        }
        assert not {"glue:DeleteTable", "glue:DeleteDatabase", "glue:CreateDatabase"} & actions("publish")

    @pytest.mark.parametrize("policy", ["curate", "publish", "replay"])
    def test_no_statement_is_about_everything(self, policy: str) -> None:
        for statement in statements(policy):
            assert statement["Effect"] == "Allow"
            assert all("any-" in resource for resource in as_list(statement["Resource"]))
            assert not [action for action in as_list(statement["Action"]) if "*" in action]
            assert ("kms:ViaService" in json.dumps(statement)) == ("kms:" in statement["Action"][0])

    def test_raw_files_are_read_and_curated_tables_written(self, cloud: Cloud) -> None:
        raw, curated, prod = cloud, make_bucket(cloud.url), make_bucket(cloud.url)
        policy = filled("curate", raw=raw.bucket, curated=curated.bucket, prod=prod.bucket)
        raw.put(RAW_EVENT.key)
        assert raw.store_of(policy).read(RAW_EVENT.key)
        assert list(raw.store_of(policy).list_keys("ecommerce/")) == [RAW_EVENT.key]
        store = raw.store_of(policy, bucket=curated.bucket)
        store.write("ecommerce/customers/manifest.json", b"{}")
        assert store.read("ecommerce/customers/manifest.json") == b"{}"
        with pytest.raises(StoreError, match="the role needs s3:PutObject"):
            raw.store_of(policy).write(RAW_EVENT.key, b"changed")
        with pytest.raises(StoreError, match="the role needs s3:DeleteObject"):
            store.delete("ecommerce/customers/manifest.json")
        with pytest.raises(StoreError, match="the role needs s3:PutObject"):
            raw.store_of(policy, bucket=prod.bucket).write("x", b"")

    def test_curated_tables_are_read_and_prod_written_and_raw_is_out_of_reach(self, cloud: Cloud) -> None:
        raw, curated, prod = cloud, make_bucket(cloud.url), make_bucket(cloud.url)
        policy = filled("publish", raw=raw.bucket, curated=curated.bucket, prod=prod.bucket)
        curated.put("ecommerce/customers/manifest.json")
        store = raw.store_of(policy, bucket=curated.bucket)
        assert store.read("ecommerce/customers/manifest.json")
        assert list(store.list_keys("")) == ["ecommerce/customers/manifest.json"]
        with pytest.raises(StoreError, match="the role needs s3:PutObject"):
            store.write("x", b"")
        store = raw.store_of(policy, bucket=prod.bucket)
        store.write("ecommerce/order_facts/a.parquet", b"")
        store.delete("ecommerce/order_facts/a.parquet")
        raw.put(RAW_EVENT.key)
        with pytest.raises(StoreError, match="the role needs s3:GetObject"):
            raw.store_of(policy).read(RAW_EVENT.key)
        with pytest.raises(StoreError, match="s3:ListBucket"):
            list(raw.store_of(policy).list_keys(""))

    def test_the_calls_of_queue_and_topics_are_those_of_the_policies(
        self, cloud: Cloud, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
        with iam_switched_off(cloud.url):
            self.call_everything()

    def call_everything(self) -> None:
        url = boto3.client("sqs").create_queue(QueueName="calls-of-a-queue")["QueueUrl"]
        topic = boto3.client("sns").create_topic(Name="calls-of-a-topic")["TopicArn"]
        called: set[str] = set()

        def note(model: Any, **_: object) -> None:
            # A batch needs the right of its single call.
            called.add(f"{model.service_model.endpoint_prefix}:{model.name.removesuffix('Batch')}")

        session = boto3.DEFAULT_SESSION
        assert session
        session.events.register("before-call", note, "calls-of-the-shop")
        try:
            queue = SqsQueue(url, "us-east-1", wait_seconds=0)
            queue.send("{}")
            open_channel(topic, DATA_TOPIC).send(Alert("a subject", "a body"))
            assert called == actions("curate", "sqs:") | actions("curate", "sns:")
            assert called == actions("publish", "sqs:") | actions("publish", "sns:")
            called.clear()
            messages = queue.receive(1, hidden_seconds=60)
            queue.hide(messages, seconds=60)
            queue.delete(messages[0])
            assert called == actions("replay")
        finally:
            session.events.unregister("before-call", note, "calls-of-the-shop")


class TestJobs:
    def test_the_command_exists_and_its_words_are_the_parameters_of_the_rule(self, tmp_path: Path) -> None:
        [words] = re.findall(r"process = (\[.*\])", CODE)
        command = json.loads(words)
        assert command[:2] == ["shop", "process"]
        assert {word for word in command if word.startswith("--")} <= options_of("shop process")
        names = {word.removeprefix("Ref::") for word in command if word.startswith("Ref::")}
        [template] = re.findall(r'parameters = "(\{\\"Parameters.*)"', CODE)
        given = json.loads(re.sub(r"<(\w+)>", r'"\1"', template.replace('\\"', '"')))["Parameters"]
        assert set(given) == names
        filled_in = [
            {"Ref::bucket": "prod-bucket", "Ref::key": '--a "key" \\ of any kind', "Ref::id": "my-id"}.get(word, word)
            for word in command
        ]
        ran = gata(
            tmp_path,
            *filled_in,
            "--json",
            SHOP_SOURCES="ecommerce",
            SHOP_PROD_BUCKET="prod-bucket",
            SHOP_DLQ_URL="http://127.0.0.1:9/123456789012/x",
        )
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["key"] == '--a "key" \\ of any kind'
        assert main.commands["shop"] and '"shop", "replay"' in CODE

    def test_its_entry_point_leaves_the_command_to_be_said(self) -> None:
        assert 'ENTRYPOINT ["gata"]' in (SHOP / "Dockerfile").read_text().splitlines()

    def test_its_environment_has_settings_alone(self) -> None:
        given = set(re.findall(r"^    ([A-Z][A-Z_]+) += ", block_of_local("environment"), flags=re.MULTILINE))
        assert given and given <= set(variable_names())
        assert {"SHOP_SOURCES", "SHOP_DLQ_URL", "SHOP_DATA_TOPIC_ARN", "SHOP_OPERATIONS_TOPIC_ARN"} <= given
        assert "MASKING_KEY" not in given, "it comes from a secret"

    def test_what_is_queued_is_not_tried_again_and_everything_unknown_is(self) -> None:
        codes = exit_codes(all_commands()["shop process"])
        retries = block("aws_batch_job_definition", "shop").split("retry_strategy")[1]
        ends = re.findall(r'action += "EXIT"\s+on_exit_code = "(\d+)"', retries)
        assert ends == ["3", "2"]
        assert "in the dead-letter queue" in codes[3] and "nothing was started" in codes[2]
        assert re.search(r'action += "RETRY"\s+on_reason = "\*"', retries)

    def test_the_event_of_a_job_that_queued_nothing_goes_to_the_queue(self) -> None:
        assert "container = { exitCode = [{ anything-but = [3] }, { exists = false }] }" in CODE
        [template] = re.findall(r'input_template = "(\{\\"bucket.*)"', CODE)
        values = {"bucket": RAW_EVENT.bucket, "key": RAW_EVENT.key, "id": "my-id"}
        message = re.sub(r"<(\w+)>", lambda found: json.dumps(values[found[1]]), template.replace('\\"', '"'))
        event = parse_event(message)
        assert (event.bucket, event.key, event.event_id) == (RAW_EVENT.bucket, RAW_EVENT.key, "my-id")
        assert isinstance(route(event, PLACES), Work)


def block_of_local(name: str) -> str:
    [found] = re.findall(rf"^  {name} += .*?^  \}}", CODE, flags=re.MULTILINE | re.DOTALL)
    return str(found)


class TestRules:
    KEYS: ClassVar = {
        RAW_EVENT.key: Stage.RAW_TO_CURATED,
        "a/b-raw/year=2025/month=01/day=16/sub/x y.csv": Stage.RAW_TO_CURATED,
        MANIFEST_EVENT.key: Stage.CURATED_TO_PROD,
        "ecommerce/curated/orders/2025-01-16/manifest.json": Stage.CURATED_TO_PROD,
    }

    @pytest.mark.parametrize(("key", "stage"), KEYS.items())
    def test_every_object_with_a_stage_matches_its_rule(self, key: str, stage: Stage) -> None:
        [wildcard] = re.findall(r'wildcard = "(.*?)"', CODE)
        [suffix] = re.findall(r'suffix = "(.*?)"', CODE)
        assert fnmatchcase(key, wildcard) == (stage is Stage.RAW_TO_CURATED)
        assert key.endswith(suffix) == (stage is Stage.CURATED_TO_PROD)

    def test_each_has_a_queue_for_what_it_cannot_hand_over(self) -> None:
        target = block("aws_cloudwatch_event_target", "job")
        assert 'aws_sqs_queue.shop["undelivered-${each.key}"].arn' in target
        stages = set(re.findall(r"^    (\w+) += \{ bucket", CODE, flags=re.MULTILINE))
        queues = set(re.findall(r'"undelivered-(\w+)"', CODE.split("queues = toset(")[1].split(")")[0]))
        assert stages == queues == {"curate", "publish"}


class TestSchedule:
    TARGET = block("aws_cloudwatch_event_target", "expire")

    def test_its_event_becomes_the_parameters_of_the_command(self) -> None:
        rule = "arn:aws:events:us-east-1:123456789012:rule/gata-shop-expire"
        sent: dict[str, Any] = {"id": "my-id", "detail-type": "Scheduled Event", "source": "aws.events"}
        sent |= {"resources": [rule], "detail": {}}
        paths = dict(re.findall(r'^      (\w+) += "\$\.(.*)"$', self.TARGET, flags=re.MULTILINE))
        assert paths == {"bucket": "source", "key": "resources[0]", "id": "id"}
        event = parse_event(json.dumps(sent))
        assert (event.bucket, event.key, event.event_id) == (sent["source"], rule, sent["id"])
        assert "input_template = local.parameters" in self.TARGET
        for form in (sent, {"bucket": event.bucket, "key": event.key, "event_type": "batch-job-failed"}):
            [of_source] = split_by_source(parse_event(json.dumps(form)), PLACES)
            found = route(of_source, PLACES)
            assert isinstance(found, Work) and found.stage is Stage.PARKED_TO_QUARANTINED

    def test_its_job_is_the_one_that_writes_curated_tables_and_has_a_queue(self) -> None:
        assert 'aws_batch_job_definition.shop["curate"].arn' in self.TARGET
        assert "role_arn = aws_iam_role.rules.arn" in self.TARGET
        assert 'aws_sqs_queue.shop["undelivered-curate"].arn' in self.TARGET
        assert "for definition in aws_batch_job_definition.shop" in CODE, "and rules may submit it"
        others = block("aws_cloudwatch_event_target", "job")
        [retries] = re.findall(r"retry_policy \{.*?\}", others, flags=re.DOTALL)
        assert retries in self.TARGET
        assert "schedule_expression = var.expire_schedule" in block("aws_cloudwatch_event_rule", "expire")

    def test_by_default_it_comes_each_hour(self) -> None:
        [variable] = re.findall(r'^variable "expire_schedule" \{.*?^\}', CODE, flags=re.MULTILINE | re.DOTALL)
        assert 'default     = "rate(1 hour)"' in variable


class TestEncryption:
    def test_buckets_queues_and_topics_are_reached_by_tls_alone_and_encrypted_by_the_key(self) -> None:
        for kind in ("bucket", "queue", "topic"):
            [policy] = re.findall(
                rf'^data "aws_iam_policy_document" "{kind}" \{{.*?^\}}', CODE, re.MULTILINE | re.DOTALL
            )
            [tls] = re.findall(r'sid += "TlsAlone".*?\n  \}', policy, flags=re.DOTALL)
            assert 'effect    = "Deny"' in tls and re.search(r'aws:SecureTransport"\s+values += \["false"\]', tls)
        assert 'sse_algorithm     = "aws:kms"' in block("aws_s3_bucket_server_side_encryption_configuration", "shop")
        for kind in ("aws_sqs_queue", "aws_sns_topic"):
            assert re.search(r"kms_master_key_id += aws_kms_key\.shop\.arn", block(kind, "shop"))

    def test_no_bucket_is_public_and_no_job_is_reached(self) -> None:
        public = block("aws_s3_bucket_public_access_block", "shop")
        assert len(re.findall(r"= true", public)) == 4
        assert 'assignPublicIp = "DISABLED"' in CODE
        assert "aws_vpc_security_group_ingress_rule" not in CODE

    def test_no_secret_is_written_down(self) -> None:
        assert not re.findall(r"^\s+(?:password|secret_string) +=", CODE, flags=re.MULTILINE)


class TestAlarms:
    def test_they_are_about_metrics_that_the_code_writes(self) -> None:
        assert f'namespace = "{NAMESPACE}"' in CODE
        named = set(re.findall(r'(?:part|whole) = "(\w+)"', CODE)) | {"ProcessingDuration"}
        assert named <= set(UNITS) and 'metric_name         = "ProcessingDuration"' in CODE
        [stages] = re.findall(r"by_stage += \{(.*)\}", CODE)
        assert set(re.findall(r'"([a-z-]+)"', stages)) == set(Stage)

    def test_their_thresholds_are_those_of_prometheus(self) -> None:
        expressions = {rule["alert"]: rule["expr"] for rule in ALARMS}
        thresholds = {name: float(expression.rpartition(">")[2]) for name, expression in expressions.items()}
        of_rates = {name: float(most) for name, most in re.findall(r"(\w+_rate) += \{.*most = (\d+)", CODE)}
        assert thresholds == {
            "GataShopErrorRate": of_rates["error_rate"] / 100,
            "GataShopValidationFailureRate": of_rates["validation_failure_rate"] / 100,
            "GataShopProcessingDuration": float(re.findall(r"duration_seconds = (\d+)\n", CODE)[0]),
            "GataShopDeadLetters": 0,
        }
        assert thresholds["GataShopErrorRate"] == 0.05 and thresholds["GataShopValidationFailureRate"] == 0.1
        assert thresholds["GataShopProcessingDuration"] == 30 * 60

    @pytest.mark.parametrize("rule", ALARMS, ids=lambda rule: rule["alert"])
    def test_rules_of_prometheus_are_about_metrics_that_the_code_writes(self, rule: dict[str, Any]) -> None:
        assert set(rule) == {"alert", "expr", "labels", "annotations"}
        named = set(re.findall(r"gata_\w+", rule["expr"]))
        assert named and named <= {metric.name for metric in METRICS}
        expression = rule["expr"]
        for opening, closing in ("()", "[]"):
            assert expression.count(opening) == expression.count(closing)
        kinds = {metric.name: metric.kind for metric in METRICS}
        # What only grows is looked at over a time; a difference of two of them is no rate.
        of_rates = set(re.findall(r"increase\((\w+)\[1h\]\)", expression))
        assert all(kinds[name] == "counter" for name in of_rates)
        assert not [name for name in named - of_rates if kinds[name] == "counter" and "dead_letters" not in name]
        labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        by = re.findall(r"by \(([a-z, ]+)\)", expression)
        assert labels <= set(by[0].split(", ") if by else [])

    def test_every_queue_has_an_alarm(self) -> None:
        assert "for_each = aws_sqs_queue.shop" in block("aws_cloudwatch_metric_alarm", "messages")


class TestTerraform:
    @pytest.mark.parametrize("path", [*SOURCES, SHOP / "tests" / "plan.tftest.hcl"], ids=lambda path: path.name)
    def test_a_parser_takes_every_file(self, path: Path) -> None:
        assert hcl2.loads(path.read_text())

    def test_every_variable_is_used_described_and_declared(self) -> None:
        declared = set(re.findall(r'^variable "(\w+)"', CODE, flags=re.MULTILINE))
        outside = re.sub(r'^variable "\w+" \{.*?^\}', "", CODE, flags=re.MULTILINE | re.DOTALL)
        assert set(re.findall(r"\bvar\.(\w+)", outside)) == declared
        for found in re.findall(r'^(?:variable|output) "\w+" \{.*?^\}', CODE, flags=re.MULTILINE | re.DOTALL):
            assert re.search(r'description += "', found)

    @pytest.mark.process
    def test_terraform_takes_it(self, tmp_path: Path) -> None:
        terraform = shutil.which("terraform")
        if not terraform:
            pytest.skip("terraform is not installed")
        copy = tmp_path / "shop"
        shutil.copytree(SHOP, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))

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
