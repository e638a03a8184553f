"""`gata consume` with a registry in AWS Glue: from messages in its wire format to curated rows.

Real: the process, a broker, boto3 against moto's Glue over HTTP, roll-up, validation and curation in a directory. The
messages are encoded by fastavro and by hand, as a producer with Glue's serializer does. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import fastavro
import pytest

from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.command import PROGRAM, environment, gata
from gata_assets_tests.support.raw_worlds import curated_rows, curator_of
from gata_assets_tests.support.topics import row, stored_messages, until

pytestmark = [pytest.mark.process, pytest.mark.server]

TOPIC = "interactions-raw"
# https://github.com/awslabs/aws-glue-schema-registry: a version, how the record is packed, the id of the schema.
VERSION, PLAIN, ZLIB = b"\x03", b"\x00", b"\x05"


def encoded(number: int, schema: Any) -> bytes:
    stream = BytesIO()
    given = row(number, timestamp=int(datetime(2026, 1, 10, 9, tzinfo=UTC).timestamp() * 1_000))
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), given)
    return stream.getvalue()


@pytest.mark.usefixtures("aws_credentials")
def test_messages_by_schemas_of_glue_become_curated_rows(noida_broker: Broker, moto_url: str, tmp_path: Path) -> None:
    noida_broker.create_topic(TOPIC)
    registry, subject = f"registry-{uuid4().hex}", f"{TOPIC}-value"
    variables = environment(
        AWS_ENDPOINT_URL=moto_url,
        GLUE_SCHEMA_REGISTRY=registry,
        KAFKA_BOOTSTRAP_SERVERS=noida_broker.connection.bootstrap_servers,
        KAFKA_METRICS_PORT="0",
        TARGET_DIR=str(tmp_path / "target"),
    )
    given = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    glue = boto3.client("glue", endpoint_url=moto_url)
    glue.create_registry(RegistryName=registry)
    registered = gata(tmp_path, "schemas", "register", INTERACTIONS, "--subject", subject, **given)
    assert registered.returncode == 0, registered.stderr
    version = glue.get_schema_version(
        SchemaId={"RegistryName": registry, "SchemaName": subject}, SchemaVersionNumber={"LatestVersion": True}
    )
    schema, schema_id = json.loads(version["SchemaDefinition"]), UUID(version["SchemaVersionId"]).bytes
    plain = [VERSION + PLAIN + schema_id + encoded(number, schema) for number in range(5)]
    packed = [VERSION + ZLIB + schema_id + zlib.compress(encoded(number, schema)) for number in range(5, 10)]
    unknown = VERSION + PLAIN + uuid4().bytes + encoded(10, schema)
    noida_broker.send(TOPIC, [(b"acme", one) for one in (*plain, unknown, *packed)])

    store = LocalStore(variables["TARGET_DIR"])
    command = [*PROGRAM, "consume", "--json", "--topic", TOPIC]
    with subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE) as process:
        try:
            until(lambda: stored_messages(store, TOPIC) == 11)
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
    rolled_up = gata(tmp_path, "events", "rollup", "--all", **given)
    assert rolled_up.returncode == 0, rolled_up.stderr
    curator = curator_of(store, now=datetime.now(UTC))
    curator.validate_new(INTERACTIONS)
    list(curator.curate(INTERACTIONS, [date(2026, 1, 10)]))

    assert {*curated_rows(curator)["user_id"]} == {f"u{number}" for number in range(10)}
    [rejected] = map(json.loads, gata(tmp_path, "quarantine", "messages", **given).stdout.splitlines())
    assert (rejected["reason"], rejected["messages"]) == ("unknown_schema", 1)
