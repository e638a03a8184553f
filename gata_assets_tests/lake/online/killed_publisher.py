"""A publisher as a process of its own, which a test ends: `python -m … URL GENERATION FORMAT`."""

from __future__ import annotations

import sys

from gata_assets.lake.online.publisher import publish
from gata_assets.online import DocumentFormat
from gata_assets.online.connection import open_client
from gata_assets.online.keys import OnlineKeys
from gata_assets_tests.support.online_worlds import TENANT, generation, rules

if __name__ == "__main__":
    url, number, document_format = sys.argv[1:]
    with open_client(url, OnlineKeys(TENANT).pointer) as client:
        publish(client, generation(int(number)), rules(format=DocumentFormat(document_format)))
