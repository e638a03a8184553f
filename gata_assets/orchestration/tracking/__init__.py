"""Finished datasets in MLflow: what is logged of one, the tracking server, the sweep over all, its job in Dagster."""
