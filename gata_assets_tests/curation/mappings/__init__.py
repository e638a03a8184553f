"""Tests of `curation.mappings`."""
