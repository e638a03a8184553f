"""What the sample shop consists of: its parameters, rows and raw files. `sample_shop` puts them together."""
