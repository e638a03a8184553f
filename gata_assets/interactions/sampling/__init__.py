"""Positives, candidates and negative samples."""
