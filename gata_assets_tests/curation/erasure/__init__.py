"""Tests of rows of erased people."""
