"""Tests of labels that are names."""
