"""Variables of an earlier data-pipeline service that are no settings here: other names of the AWS SDK's variables, and
those that are refused, with the reason. Its other variables are settings under the same names.

docs/ingestion-kafka.md has all of them in a table, which a test compares with these.
"""

from __future__ import annotations

# Each with the variable of the AWS SDK that it sets, unless that is set.
ALIASES = {
    "S3_ENDPOINT": "AWS_ENDPOINT_URL_S3",
    "S3_ACCESS_KEY": "AWS_ACCESS_KEY_ID",
    "S3_SECRET_KEY": "AWS_SECRET_ACCESS_KEY",
}
_ONE_TARGET = "one target has raw files, curated tables, features and training data of each tenant: set TARGET_BUCKET"
REFUSED = {
    "S3_BUCKET_RAW": _ONE_TARGET,
    "S3_BUCKET_PROCESSED": _ONE_TARGET,
    "S3_BUCKET_TRAINING": _ONE_TARGET,
    "S3_BUCKET_FEATURES": _ONE_TARGET,
}
# In the environment other programs have variables of these names.
REFUSED_IN_FILES = {
    "VERSION": "the version is that of the release",
    "DATABASE_URL": "no table is in a database: all are in the target; TICKETS_URL is where tickets are read from",
}
