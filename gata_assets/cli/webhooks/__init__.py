"""The commands for the sources of webhooks: `gata webhooks`."""
