"""The rows of raw files as texts: CSV, JSON Lines and Parquet in blocks of bounded size."""
