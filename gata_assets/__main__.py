"""`python -m gata_assets` is `gata`."""

from gata_assets.cli import main

main()
