"""The commands for what is kept: `gata retention`."""
