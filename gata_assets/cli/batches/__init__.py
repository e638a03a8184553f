"""The commands that prepare batches."""
