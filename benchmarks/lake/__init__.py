"""Benchmarks of the ticket lake."""
