"""Tests of the way back from curated rows to raw files."""
