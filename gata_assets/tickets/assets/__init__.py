"""The ticket assets in Dagster."""
