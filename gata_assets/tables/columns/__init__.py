"""Columns of numbers, texts and ids at Arrow's and NumPy's level: hashing, encoding, compiled loops."""
