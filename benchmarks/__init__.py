"""Measurements of the package: `python -m benchmarks` runs all, `python -m benchmarks split` one of them.

Results are JSON in `benchmarks/results/`; `python -m benchmarks --write-docs` makes docs/benchmarks.md of them.
Traffic stays on this machine: servers are started by the benchmark that needs them and stopped at its end.
"""
