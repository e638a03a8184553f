"""ObjectStore by key in a directory or in S3, and what is written to them: datasets and Parquet parts."""
