"""The settings of ingestion."""
