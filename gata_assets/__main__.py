"""`python -m gata_assets` is `gata`."""

from gata_assets.cli.main import main

main()
