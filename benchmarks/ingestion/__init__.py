"""Benchmarks of what arrives by HTTP and by topics."""
