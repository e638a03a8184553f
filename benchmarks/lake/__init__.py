"""Benchmarks of the shop tables."""
