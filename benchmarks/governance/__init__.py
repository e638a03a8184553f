"""Benchmarks of what is owed to others."""
