"""From curated rows back to the raw files and records that they came from."""
