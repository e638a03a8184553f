"""Tests of what is kept of people who were erased."""
