"""Tests of the work on rows, and of the process that does it."""
