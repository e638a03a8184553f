"""Logs that are objects of a store."""
