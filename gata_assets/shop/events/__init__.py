"""The shop driven by events, without Dagster: one object that arrived, one stage, once."""
