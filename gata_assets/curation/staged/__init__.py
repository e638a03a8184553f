"""Valid rows of a raw file as one Parquet file that other programs read too, with a part for each day."""
