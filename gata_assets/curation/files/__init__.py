"""Formats and readers of raw files. Nothing here knows what a table means."""
