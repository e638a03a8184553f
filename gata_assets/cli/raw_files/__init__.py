"""The commands that land raw files and show their outcomes."""
