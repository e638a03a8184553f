"""Dagster's nouns that no domain owns: checks, recording, failures, partitions, schedules."""
