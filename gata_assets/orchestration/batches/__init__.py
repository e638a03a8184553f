"""Batches as commands see them: what the target has of them, and which were given up."""
