"""Fixtures of these tests: an S3 server that evaluates IAM policies."""

from gata_assets_tests.support.iam_cloud import cloud, server_url  # noqa: F401 - fixtures
