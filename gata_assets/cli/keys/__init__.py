"""The commands for the API keys of those who send by HTTP: `gata keys`."""
