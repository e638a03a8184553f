"""Hourly-partitioned Dagster assets that turn closed support tickets into machine-learning training data.

Importing the package does nothing: no settings are read, no connection is made, no Dagster is loaded.
"""

__version__ = "0.1.0"
