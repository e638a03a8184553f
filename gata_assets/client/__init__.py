"""A client of the HTTP service: rows and events in batches, files from disk, each of them once.

Light to import: the standard library and urllib3.
"""

from gata_assets.client.batches import Batch, BatchRules, FailedBatch
from gata_assets.client.gata_client import GataClient
from gata_assets.client.sender import Counts
from gata_assets.errors import BatchesFailedError, ServiceAwayError, ServiceError, ServiceRefusedError

__all__ = [
    "Batch",
    "BatchRules",
    "BatchesFailedError",
    "Counts",
    "FailedBatch",
    "GataClient",
    "ServiceAwayError",
    "ServiceError",
    "ServiceRefusedError",
]
