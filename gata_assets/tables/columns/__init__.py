"""Columns of numbers, texts and ids in Arrow and NumPy: hashing, encoding, compiled loops."""
