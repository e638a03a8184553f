"""Curated tables as Dagster's assets: runs, checks, jobs and requests that no domain owns."""
