"""Benchmarks of the package: `python -m benchmarks` runs all, `python -m benchmarks split` a single one.

Results are JSON in `benchmarks/results/`; `python -m benchmarks --write-docs` writes docs/benchmarks.md from them.
Traffic stays on this machine: a benchmark starts the servers that it needs and stops them at its end.
"""
