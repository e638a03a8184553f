"""An S3 server that evaluates IAM policies, and roles with nothing but the policies of a test.

Moto over HTTP, signatures checked. It evaluates resources of S3 alone, and no conditions: what a role may list is
evaluated before, by `iam_calls`; and as S3 does to roles that may list some prefixes only, what is not there is denied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal
from urllib.request import Request, urlopen
from uuid import uuid4

import boto3
import pytest
from dagster_aws.s3 import S3Resource
from werkzeug.wrappers import Request as Received
from werkzeug.wrappers import Response

from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.iam_calls import Call, Right, rights_of
from gata_assets_tests.support.s3_server import S3Server, Wsgi

REGION = "us-east-1"

Service = Literal["iam", "s3", "sts"]


@cache
def operator(url: str, service: Service) -> Any:
    """A client of somebody who may do everything while IAM is switched off."""
    session = boto3.Session(aws_access_key_id="operator", aws_secret_access_key="operator", region_name=REGION)
    return session.client(service, endpoint_url=url)


@dataclass(frozen=True)
class Role:
    """What a role may do, and what it did."""

    access_key: str
    secret_key: str
    token: str
    rights: list[Right]
    calls: set[Call] = field(default_factory=set)


# By access key: moto's state is the process's, too.
_ROLES: dict[str, Role] = {}


@dataclass(frozen=True)
class Cloud:
    """An S3 server that evaluates IAM policies, and a bucket in it."""

    url: str
    bucket: str

    def role_of(self, *policies: str) -> Role:
        """A new role with these policies and nothing else."""
        name = f"gata-task-{uuid4().hex[:12]}"
        with iam_switched_off(self.url):
            iam = operator(self.url, "iam")
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
            for number, policy in enumerate(policies):
                iam.put_role_policy(RoleName=name, PolicyName=f"policy-{number}", PolicyDocument=policy)
            arn = iam.get_role(RoleName=name)["Role"]["Arn"]
            given = operator(self.url, "sts").assume_role(RoleArn=arn, RoleSessionName="task")["Credentials"]
        rights = [right for policy in policies for right in rights_of(policy)]
        role = Role(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], rights)
        _ROLES[role.access_key] = role
        return role

    def store_of(self, *policies: str, bucket: str = "") -> S3StoreResource:
        """The project's store for a new role with these policies and nothing else."""
        role = self.role_of(*policies)
        return S3StoreResource(
            bucket=bucket or self.bucket,
            s3=S3Resource(
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=role.access_key,
                aws_secret_access_key=role.secret_key,
                aws_session_token=role.token,
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
    with S3Server(_evaluating) as server:
        # The switch is the process's, so other modules' servers get it back as it was.
        before = switch_iam(server.url, "0")
        try:
            yield server.url
        finally:
            switch_iam(server.url, before)


def _evaluating(moto: Wsgi) -> Wsgi:
    """Moto, which evaluates no condition, behind what does."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Received(environ)
        role = _ROLES.get(request.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0])
        if role is None:
            return moto(environ, start_response)
        bucket, _, key = request.path.lstrip("/").partition("/")
        call = _call(request, key)
        role.calls.add(call)
        if call.action == "s3:ListBucket" and not any(right.allows(call, bucket) for right in role.rights):
            return _DENIED(environ, start_response)
        if call.action != "s3:GetObject":
            return moto(environ, start_response)
        found = Response.from_app(moto, environ)
        return (_DENIED if found.status_code == 404 else found)(environ, start_response)

    return answer


def _call(request: Received, key: str) -> Call:
    if not key:
        return Call("s3:ListBucket", request.args.get("prefix", ""), request.args.get("delimiter", ""))
    if request.method == "DELETE" and "uploadId" in request.args:
        return Call("s3:AbortMultipartUpload", key)
    actions = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "DELETE": "s3:DeleteObject"}
    return Call(actions.get(request.method, "s3:PutObject"), key)


_DENIED = Response(
    "<Error><Code>AccessDenied</Code><Message>Denied</Message></Error>", 403, content_type="application/xml"
)


@pytest.fixture
def cloud(server_url: str) -> Cloud:
    return make_bucket(server_url)


def make_bucket(url: str) -> Cloud:
    """A bucket of its own for every test: moto's state is the process's, like its switch."""
    cloud = Cloud(url, f"gata-{uuid4().hex[:16]}")
    with iam_switched_off(url):
        operator(url, "s3").create_bucket(Bucket=cloud.bucket)
    return cloud
