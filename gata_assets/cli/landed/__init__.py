"""The commands that show what became of raw files: `gata tenants`, `gata files`, `gata quarantine`."""
