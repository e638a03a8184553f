"""Clients of S3: their settings, time limits and encryption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ENDPOINTS_OF_AWS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass
class SdkSettings:
    """How a client is opened, as Dagster's S3Resource says it; None is left to the SDK."""

    region_name: str | None = None
    endpoint_url: str | None = None
    max_attempts: int = 5
    profile_name: str | None = None
    use_unsigned_session: bool = False
    use_ssl: bool = True
    verify: str | bool | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None


def open_client(s3: SdkSettings, connect_seconds: float, read_seconds: float) -> S3Client:
    """A client with its settings and time limits; for a custom endpoint, with the bucket in the path.

    In the host name it would have to be resolved: most machines do not resolve `bucket.localhost`.
    """
    names = ("use_ssl", "verify", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    same: dict[str, Any] = {name: getattr(s3, name) for name in names}
    config = Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"max_attempts": s3.max_attempts, "mode": "standard"},
        signature_version=UNSIGNED if s3.use_unsigned_session else None,
    )
    session = boto3.Session(profile_name=s3.profile_name)
    client: S3Client = session.client("s3", s3.region_name, endpoint_url=s3.endpoint_url, config=config, **same)
    meta, by_path = client.meta, Config(s3={"addressing_style": "path"})
    if meta.endpoint_url.endswith(ENDPOINTS_OF_AWS):
        return client
    return session.client(
        "s3", meta.region_name, endpoint_url=meta.endpoint_url, config=meta.config.merge(by_path), **same
    )


def encrypt_with(client: S3Client, key: str) -> S3Client:
    """Let all writes of a client ask for encryption with a KMS key."""

    def add(params: dict[str, Any], **_: Any) -> None:
        params |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}

    for call in ("PutObject", "CreateMultipartUpload", "CopyObject"):
        client.meta.events.register(f"provide-client-params.s3.{call}", add)
    return client
