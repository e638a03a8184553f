"""Benchmarks of what arrives by HTTP."""
