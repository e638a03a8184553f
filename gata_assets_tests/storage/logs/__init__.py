"""Tests of logs in a store."""
