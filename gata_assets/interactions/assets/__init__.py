"""The interaction assets in Dagster."""
