"""An S3 server that evaluates IAM policies, and roles with nothing but the policies of a test.

Moto over HTTP, signatures checked. It evaluates resources of S3 alone, and no `StringLike` conditions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.request import Request, urlopen
from uuid import uuid4

import boto3
import pytest
from dagster_aws.s3 import S3Resource
from moto.server import ThreadedMotoServer

from gata_assets.storage.s3 import S3StoreResource

REGION = "us-east-1"

Service = Literal["iam", "s3", "sts"]


@cache
def operator(url: str, service: Service) -> Any:
    """A client of somebody who may do everything while IAM is switched off."""
    session = boto3.Session(aws_access_key_id="operator", aws_secret_access_key="operator", region_name=REGION)
    return session.client(service, endpoint_url=url)


@dataclass(frozen=True)
class Cloud:
    """An S3 server that evaluates IAM policies, and a bucket in it."""

    url: str
    bucket: str

    def store_of(self, *policies: str, bucket: str = "") -> S3StoreResource:
        """The project's store for a new role with these policies and nothing else."""
        name = f"gata-task-{uuid4().hex[:12]}"
        with iam_switched_off(self.url):
            iam = operator(self.url, "iam")
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
            for number, policy in enumerate(policies):
                iam.put_role_policy(RoleName=name, PolicyName=f"policy-{number}", PolicyDocument=policy)
            role = iam.get_role(RoleName=name)["Role"]["Arn"]
            given = operator(self.url, "sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
        return S3StoreResource(
            bucket=bucket or self.bucket,
            s3=S3Resource(
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["SessionToken"],
            ),
        )

    def put(self, *keys: str) -> None:
        """Put objects as somebody who may."""
        with iam_switched_off(self.url):
            for key in keys:
                operator(self.url, "s3").put_object(Bucket=self.bucket, Key=key, Body=b"earlier")

    def keys(self) -> set[str]:
        """What the bucket holds."""
        with iam_switched_off(self.url):
            found = operator(self.url, "s3").list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"] for one in found}


@contextmanager
def iam_switched_off(url: str) -> Iterator[None]:
    """For what happened before the task, which is not on trial."""
    before = switch_iam(url, "inf")
    try:
        yield
    finally:
        switch_iam(url, before)


def switch_iam(url: str, actions_without: str) -> str:
    """Evaluate policies after this many actions (0: from now on, inf: never); gives the number before."""
    # As text: a form, which is urllib's default, would not reach moto.
    request = Request(
        f"{url}/moto-api/reset-auth", data=actions_without.encode(), headers={"Content-Type": "text/plain"}
    )
    with urlopen(request) as answer:
        return str(json.load(answer)["PREVIOUS_INITIAL_NO_AUTH_ACTION_COUNT"])


_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # The switch is the process's, so other modules' servers get it back as it was.
    before = switch_iam(url, "0")
    try:
        yield url
    finally:
        switch_iam(url, before)
        server.stop()


@pytest.fixture
def cloud(server_url: str) -> Cloud:
    return make_bucket(server_url)


def make_bucket(url: str) -> Cloud:
    """A bucket of its own for every test: moto's state is the process's, like its switch."""
    cloud = Cloud(url, f"gata-{uuid4().hex[:16]}")
    with iam_switched_off(url):
        operator(url, "s3").create_bucket(Bucket=cloud.bucket)
    return cloud
