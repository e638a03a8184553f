"""Benchmarks of what arrives by topics."""
